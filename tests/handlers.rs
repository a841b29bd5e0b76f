//! Handlers: dispatch, order, isolation, and HTTP responses.
#![cfg(feature = "handler")]

use std::{
    convert::Infallible,
    error::Error,
    fmt,
    future::{Future, Ready, pending, ready},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use http::{Request, Response, StatusCode};
use http_body::Body as _;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_pyannote::{
    ConfigError, Diarization, HandlerError, HandlerRegistry, Identification, TypedEvent,
    Voiceprint, WebhookEvent, WebhookHandler,
    event::Delivery,
    handler::{
        EmptyBody, HandlerFuture, HandlerOutcome, HandlerReport, HandlerResponseFuture,
        HandlerService, HandlersFailed,
    },
};

const DIARIZATION: &str = r#"{"jobId":"j","status":"succeeded","output":{"diarization":[{"speaker":"SPEAKER_00","start":0.5,"end":2.0}]}}"#;
const IDENTIFICATION: &str = r#"{"jobId":"j","status":"succeeded","output":{"diarization":[],"identification":[],"voiceprints":[{"speaker":"SPEAKER_00","match":"Ann","confidence":{"Ann":91}}]}}"#;
const VOICEPRINT: &str = r#"{"jobId":"j","status":"succeeded","output":{"voiceprint":"AAAA"}}"#;
const STATUS_ONLY: &str = r#"{"jobId":"j","status":"succeeded"}"#;
const NULL_OUTPUT: &str = r#"{"jobId":"j","status":"succeeded","output":null}"#;
const FAILED: &str = r#"{"jobId":"j","status":"failed","output":{"error":"no audio"}}"#;
const CANCELED: &str = r#"{"jobId":"j","status":"canceled"}"#;
const UNKNOWN_OUTPUT: &str = r#"{"jobId":"j","status":"succeeded","output":{"mood":"good"}}"#;
const ODD_OUTPUT: &str = r#"{"jobId":"j","status":"succeeded","output":{"diarization":[7]}}"#;
const UNKNOWN_STATUS: &str = r#"{"jobId":"j","status":"paused","output":{"diarization":[]}}"#;

/// A name, a body, and the method that fits it.
const ROUTES: [(&str, &str, &str); 10] = [
    ("diarization", DIARIZATION, "diarization"),
    ("identification", IDENTIFICATION, "identification"),
    ("voiceprint", VOICEPRINT, "voiceprint"),
    ("no output", STATUS_ONLY, "status_only"),
    ("null output", NULL_OUTPUT, "status_only"),
    ("failed with an output", FAILED, "failed"),
    ("canceled", CANCELED, "canceled"),
    ("unknown keys", UNKNOWN_OUTPUT, "unknown"),
    ("known key, odd shape", ODD_OUTPUT, "unknown"),
    ("other status", UNKNOWN_STATUS, "unknown"),
];

fn event(body: impl Into<bytes::Bytes>) -> WebhookEvent {
    WebhookEvent::new(body.into(), Delivery::at(SystemTime::UNIX_EPOCH)).unwrap()
}

/// The calls, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A handler that records which of its methods were called.
struct Scribe {
    log: Log,
    needs_output: bool,
}

impl Scribe {
    fn new(log: Log) -> Self {
        Self {
            log,
            needs_output: true,
        }
    }

    fn bytes_only(log: Log) -> Self {
        Self {
            log,
            needs_output: false,
        }
    }
}

impl WebhookHandler for Scribe {
    fn needs_output(&self) -> bool {
        self.needs_output
    }

    async fn any(&self, _: &WebhookEvent) -> Result<(), HandlerError> {
        self.log.add("any");
        Ok(())
    }

    async fn diarization(&self, event: &TypedEvent<Diarization>) -> Result<(), HandlerError> {
        assert_eq!(event.output().diarization.len(), 1);
        self.log.add("diarization");
        Ok(())
    }

    async fn identification(&self, event: &TypedEvent<Identification>) -> Result<(), HandlerError> {
        assert_eq!(event.output().voiceprints.len(), 1);
        self.log.add("identification");
        Ok(())
    }

    async fn voiceprint(&self, event: &TypedEvent<Voiceprint>) -> Result<(), HandlerError> {
        assert_eq!(event.job_id(), "j");
        self.log.add("voiceprint");
        Ok(())
    }

    async fn status_only(&self, _: &WebhookEvent) -> Result<(), HandlerError> {
        self.log.add("status_only");
        Ok(())
    }

    async fn failed(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        assert_eq!(event.error(), Some("no audio"));
        self.log.add("failed");
        Ok(())
    }

    async fn canceled(&self, _: &WebhookEvent) -> Result<(), HandlerError> {
        self.log.add("canceled");
        Ok(())
    }

    async fn unknown(&self, _: &WebhookEvent) -> Result<(), HandlerError> {
        self.log.add("unknown");
        Ok(())
    }
}

/// A handler that overrides nothing.
struct Idle;

impl WebhookHandler for Idle {}

/// Adds a closure of each kind that records its kind.
fn closures(log: &Log) -> HandlerRegistry {
    fn note<E>(
        log: &Log,
        line: &'static str,
    ) -> impl Fn(E) -> Ready<Result<(), HandlerError>> + use<E> {
        let log = log.clone();
        move |_| {
            log.add(line);
            ready(Ok(()))
        }
    }
    HandlerRegistry::new()
        .on_any("1", note(log, "any"))
        .unwrap()
        .on_diarization("2", note(log, "diarization"))
        .unwrap()
        .on_identification("3", note(log, "identification"))
        .unwrap()
        .on_voiceprint("4", note(log, "voiceprint"))
        .unwrap()
        .on_status_only("5", note(log, "status_only"))
        .unwrap()
        .on_failed("6", note(log, "failed"))
        .unwrap()
        .on_canceled("7", note(log, "canceled"))
        .unwrap()
        .on_unknown("8", note(log, "unknown"))
        .unwrap()
}

fn outcomes(report: &HandlerReport) -> Vec<(&str, &'static str)> {
    let runs = report.runs().iter();
    runs.map(|run| (&*run.name, run.outcome.as_str())).collect()
}

async fn run(mut registry: HandlerRegistry, body: &'static str) -> HandlerReport {
    match registry.call(event(body)).await {
        Ok(report) => report,
        Err(failed) => failed.into_report(),
    }
}

mod dispatch {
    use super::*;

    #[tokio::test]
    async fn each_event_goes_to_any_and_then_to_its_own_method() {
        let log = Log::default();
        let registry = HandlerRegistry::new()
            .register("scribe", Scribe::new(log.clone()))
            .unwrap();
        for (name, body, method) in ROUTES {
            let report = run(registry.clone(), body).await;
            assert_eq!(outcomes(&report), [("scribe", "success")], "{name}");
            assert_eq!(log.take(), ["any", method], "{name}");
        }
    }

    #[tokio::test]
    async fn each_event_goes_to_the_closures_of_its_kind_only() {
        let log = Log::default();
        let registry = closures(&log);
        for (name, body, method) in ROUTES {
            let report = run(registry.clone(), body).await;
            assert_eq!(log.take(), ["any", method], "{name}");
            assert_eq!(
                report.runs().len(),
                2,
                "{name}: only closures that ran are reported"
            );
            assert!(report.is_success(), "{name}");
        }
    }

    #[tokio::test]
    async fn a_handler_in_an_arc_runs_like_the_handler() {
        let log = Log::default();
        let registry = HandlerRegistry::new()
            .register("scribe", Arc::new(Scribe::new(log.clone())))
            .unwrap();
        for (name, body, method) in ROUTES {
            assert!(run(registry.clone(), body).await.is_success(), "{name}");
            assert_eq!(log.take(), ["any", method], "{name}");
        }
    }

    #[tokio::test]
    async fn a_handler_that_overrides_nothing_succeeds_at_everything() {
        let registry = HandlerRegistry::new().register("idle", Idle).unwrap();
        for (name, body, _) in ROUTES {
            let report = run(registry.clone(), body).await;
            assert_eq!(outcomes(&report), [("idle", "success")], "{name}");
        }
    }

    #[tokio::test]
    async fn an_error_of_any_ends_that_handler_for_the_event() {
        struct Picky(Log);
        impl WebhookHandler for Picky {
            async fn any(&self, _: &WebhookEvent) -> Result<(), HandlerError> {
                Err(HandlerError::permanent("not for me"))
            }
            async fn canceled(&self, _: &WebhookEvent) -> Result<(), HandlerError> {
                self.0.add("canceled");
                Ok(())
            }
        }
        let (picky, scribe) = (Log::default(), Log::default());
        let registry = HandlerRegistry::new()
            .register("picky", Picky(picky.clone()))
            .unwrap()
            .register("scribe", Scribe::new(scribe.clone()))
            .unwrap();
        let report = run(registry, CANCELED).await;
        assert_eq!(
            outcomes(&report),
            [("picky", "permanent"), ("scribe", "success")]
        );
        assert!(picky.take().is_empty());
        assert_eq!(scribe.take(), ["any", "canceled"]);
    }

    #[tokio::test]
    async fn handlers_run_one_after_another_in_the_order_of_registration() {
        let log = Log::default();
        let mut registry = HandlerRegistry::new();
        for name in ["c", "a", "b"] {
            let log = log.clone();
            registry = registry
                .on_any(name, move |_| {
                    let log = log.clone();
                    async move {
                        log.add(format!("{name} begins"));
                        tokio::task::yield_now().await;
                        log.add(format!("{name} ends"));
                        Ok(())
                    }
                })
                .unwrap();
        }
        assert_eq!(registry.names().collect::<Vec<_>>(), ["c", "a", "b"]);
        let report = run(registry, CANCELED).await;
        assert_eq!(
            log.take(),
            [
                "c begins", "c ends", "a begins", "a ends", "b begins", "b ends"
            ]
        );
        assert_eq!(
            outcomes(&report),
            [("c", "success"), ("a", "success"), ("b", "success")]
        );
    }

    #[tokio::test]
    async fn a_handler_that_needs_no_output_runs_no_method_for_outputs() {
        let log = Log::default();
        let alone = HandlerRegistry::new()
            .register("bytes", Arc::new(Scribe::bytes_only(log.clone())))
            .unwrap();
        // Another handler that needs the output must make no difference.
        let beside = alone.clone().register("idle", Idle).unwrap();
        for registry in [alone, beside] {
            for (name, body, method) in ROUTES {
                assert!(run(registry.clone(), body).await.is_success(), "{name}");
                let without_output = ["status_only", "failed", "canceled"].contains(&method);
                if without_output || body == UNKNOWN_STATUS {
                    assert_eq!(log.take(), ["any", method], "{name}");
                } else {
                    assert_eq!(log.take(), ["any"], "{name}");
                }
            }
        }
    }

    #[tokio::test]
    async fn an_empty_registry_succeeds_at_everything() {
        assert!(run(HandlerRegistry::new(), DIARIZATION).await.is_success());
    }
}

mod setup {
    use super::*;

    #[test]
    fn handlers_and_closures_need_distinct_names() {
        let one = || HandlerRegistry::new().register("one", Idle).unwrap();
        let taken = "handler name \"one\" is taken: give each its own";
        let two = one().register(String::from("one"), Idle).unwrap_err();
        assert!(matches!(&two, ConfigError::DuplicateHandler { name, .. } if &**name == "one"));
        assert_eq!(two.to_string(), taken);
        let two = one().on_failed("one", async |_| Ok(())).unwrap_err();
        assert_eq!(two.to_string(), taken);
        let two = closures(&Log::default()).register("4", Idle).unwrap_err();
        assert!(matches!(&two, ConfigError::DuplicateHandler { name, .. } if &**name == "4"));
    }

    #[test]
    fn an_empty_or_blank_name_is_refused() {
        for name in ["", " ", "\t\n", "\u{a0}"] {
            let error = HandlerRegistry::new().register(name, Idle).unwrap_err();
            assert_eq!(error, ConfigError::EmptyHandlerName, "{name:?}");
        }
    }

    #[test]
    fn a_zero_timeout_is_refused_and_names_its_setting() {
        let error = HandlerRegistry::new().with_handler_timeout(Duration::ZERO);
        assert_eq!(
            error.unwrap_err().to_string(),
            "handler_timeout is zero: give a time above zero"
        );
        let error = HandlerRegistry::new()
            .register("one", Idle)
            .unwrap()
            .with_timeout_for("one", Duration::ZERO);
        assert_eq!(
            error.unwrap_err().to_string(),
            "timeout_for is zero: give a time above zero"
        );
    }

    #[test]
    fn a_timeout_for_a_name_that_no_handler_has_is_refused() {
        let error = HandlerRegistry::new()
            .register("one", Idle)
            .unwrap()
            .with_timeout_for("two", Duration::from_secs(1))
            .unwrap_err();
        assert!(matches!(&error, ConfigError::UnknownHandler { name, .. } if &**name == "two"));
    }

    #[test]
    fn a_clone_keeps_its_handlers_when_the_other_gains_one() {
        let one = HandlerRegistry::new().register("one", Idle).unwrap();
        let two = one.clone().register("two", Idle).unwrap();
        assert_eq!(one.names().collect::<Vec<_>>(), ["one"]);
        assert_eq!(two.names().collect::<Vec<_>>(), ["one", "two"]);
    }

    #[test]
    fn debug_shows_the_names() {
        let registry = HandlerRegistry::new().register("one", Idle).unwrap();
        assert_eq!(
            format!("{registry:?}"),
            r#"HandlerRegistry { handlers: ["one"], handler_timeout: 8s }"#
        );
    }

    #[test]
    fn types_are_send_and_sync() {
        fn send<T: Send>() {}
        fn sync<T: Send + Sync + Clone + 'static>() {}
        sync::<HandlerRegistry>();
        sync::<HandlerService<HandlerRegistry>>();
        sync::<EmptyBody>();
        send::<HandlerFuture>();
        send::<HandlerResponseFuture<HandlerFuture>>();
        fn error<T: Error + Send + Sync + 'static>() {}
        error::<HandlersFailed>();
        error::<ConfigError>();
    }
}

mod errors {
    use super::*;

    fn from_io() -> Result<(), HandlerError> {
        Err(io::Error::other("disk full"))?;
        Ok(())
    }

    fn from_text() -> Result<(), HandlerError> {
        Err("no luck")?;
        Ok(())
    }

    fn through() -> Result<(), HandlerError> {
        Err(HandlerError::permanent("hopeless"))?;
        Ok(())
    }

    #[test]
    fn any_error_or_text_becomes_a_retryable_error() {
        let error = from_io().unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.is_permanent()),
            ("disk full", false)
        );
        assert!(error.as_error().downcast_ref::<io::Error>().is_some());
        let error = from_text().unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.is_permanent()),
            ("no luck", false)
        );
    }

    #[test]
    fn a_permanent_error_stays_so_through_the_question_mark() {
        assert!(through().unwrap_err().is_permanent());
        let error = HandlerError::from(io::Error::other("gone")).into_permanent();
        assert!(error.is_permanent());
        assert_eq!(
            format!("{error:?}"),
            r#"HandlerError { permanent: true, error: Custom { kind: Other, error: "gone" } }"#
        );
        assert_eq!(error.into_error().to_string(), "gone");
    }

    #[test]
    fn a_retry_delay_stays_with_its_error_through_the_question_mark() {
        fn through() -> Result<(), HandlerError> {
            let busy = io::Error::other("busy");
            Err(HandlerError::new(busy).retry_after(Duration::from_secs(7)))?;
            Ok(())
        }
        let error = through().unwrap_err();
        assert_eq!(error.retry_delay(), Some(Duration::from_secs(7)));
        assert!(!error.is_permanent());
        assert!(error.as_error().downcast_ref::<io::Error>().is_some());
        assert_eq!(
            format!("{error:?}"),
            r#"HandlerError { permanent: false, retry_delay: 7s, error: Custom { kind: Other, error: "busy" } }"#
        );
        assert_eq!(from_io().unwrap_err().retry_delay(), None);
    }

    #[test]
    fn a_permanent_error_has_no_retry_delay() {
        let delay = Duration::from_secs(7);
        let before = HandlerError::new("gone")
            .retry_after(delay)
            .into_permanent();
        let after = HandlerError::permanent("gone").retry_after(delay);
        for error in [before, after] {
            assert!(error.is_permanent());
            assert_eq!(error.retry_delay(), None);
        }
    }

    #[tokio::test]
    async fn an_outcome_has_the_retry_delay_of_its_error() {
        let registry = HandlerRegistry::new()
            .on_any("busy", async |_| {
                Err(HandlerError::new("busy").retry_after(Duration::from_secs(7)))
            })
            .unwrap()
            .on_any("broken", async |_| Err("broken".into()))
            .unwrap()
            .on_any("idle", async |_| Ok(()))
            .unwrap();
        let report = run(registry, CANCELED).await;
        let delays: Vec<_> = report
            .runs()
            .iter()
            .map(|run| run.outcome.retry_delay())
            .collect();
        assert_eq!(delays, [Some(Duration::from_secs(7)), None, None]);
    }
}

mod isolation {
    use super::*;

    /// Runs a failing closure between two handlers that must run in any case.
    async fn between<F, Fut>(f: F) -> (Result<HandlerReport, HandlersFailed>, Vec<String>)
    where
        F: Fn(WebhookEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let log = Log::default();
        let mut registry = HandlerRegistry::new()
            .register("before", Scribe::new(log.clone()))
            .unwrap()
            .on_any("bad", f)
            .unwrap()
            .register("after", Scribe::new(log.clone()))
            .unwrap();
        let result = registry.call(event(CANCELED)).await;
        (result, log.take())
    }

    const BOTH: [&str; 4] = ["any", "canceled", "any", "canceled"];

    fn around(bad: &'static str) -> [(&'static str, &'static str); 3] {
        [("before", "success"), ("bad", bad), ("after", "success")]
    }

    #[tokio::test]
    async fn a_retryable_error_fails_the_event_after_all_have_run() {
        let (result, log) = between(async |_| Err(io::Error::other("disk full").into())).await;
        let failed = result.unwrap_err();
        assert_eq!(log, BOTH);
        assert_eq!(outcomes(failed.report()), around("error"));
        assert_eq!(
            failed.to_string(),
            "handlers failed and should be tried again: bad (error)"
        );
        assert_eq!(failed.source().unwrap().to_string(), "disk full");
    }

    #[tokio::test]
    async fn a_permanent_error_counts_as_handled_and_is_reported() {
        let (result, log) = between(async |_| Err(HandlerError::permanent("hopeless"))).await;
        let report = result.unwrap();
        assert_eq!(log, BOTH);
        assert_eq!(outcomes(&report), around("permanent"));
        assert!(!report.is_success() && !report.is_retryable());
        assert_eq!(report.failures().count(), 1);
    }

    #[tokio::test]
    async fn a_panic_in_the_future_is_caught_and_retryable() {
        let (result, log) = between(async |_| {
            tokio::task::yield_now().await;
            panic!("at {}", "work")
        })
        .await;
        let failed = result.unwrap_err();
        assert_eq!(log, BOTH);
        assert_eq!(outcomes(failed.report()), around("panic"));
        let outcome = &failed.report().runs()[1].outcome;
        assert_eq!(outcome.to_string(), "panicked: at work");
        assert!(failed.source().is_none());
    }

    #[tokio::test]
    async fn a_panic_before_the_future_exists_is_caught_and_retryable() {
        fn make(_: WebhookEvent) -> Ready<Result<(), HandlerError>> {
            panic!("too early")
        }
        let (result, log) = between(make).await;
        let failed = result.unwrap_err();
        assert_eq!(log, BOTH);
        assert_eq!(outcomes(failed.report()), around("panic"));
        let outcome = &failed.report().runs()[1].outcome;
        assert!(
            matches!(outcome, HandlerOutcome::Panicked { message, .. } if message == "too early")
        );
    }

    #[tokio::test]
    async fn a_panic_with_a_payload_that_is_no_text_is_caught() {
        let (result, log) = between(async |_| std::panic::panic_any(7)).await;
        let failed = result.unwrap_err();
        assert_eq!(log, BOTH);
        assert_eq!(
            failed.report().runs()[1].outcome.to_string(),
            "panicked: no message"
        );
    }

    struct PanicsWhenDropped;

    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_while_a_timed_out_handler_is_dropped_is_caught() {
        let (result, log) = between(async |_| {
            let _guard = PanicsWhenDropped;
            pending().await
        })
        .await;
        let failed = result.unwrap_err();
        assert_eq!(log, BOTH);
        assert_eq!(
            failed.report().runs()[1].outcome.to_string(),
            "panicked: in drop"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_default_timeout_is_eight_seconds_and_retryable() {
        let started = tokio::time::Instant::now();
        let (result, log) = between(|_| pending()).await;
        let failed = result.unwrap_err();
        assert_eq!(log, BOTH);
        assert_eq!(outcomes(failed.report()), around("timeout"));
        assert_eq!(
            failed.report().runs()[1].outcome.to_string(),
            "timed out after 8s"
        );
        assert_eq!(started.elapsed(), Duration::from_secs(8));
    }

    #[tokio::test(start_paused = true)]
    async fn each_handler_has_the_whole_timeout() {
        let slow = |_| async {
            tokio::time::sleep(Duration::from_secs(7)).await;
            Ok(())
        };
        let registry = HandlerRegistry::new()
            .on_any("first", slow)
            .unwrap()
            .on_any("second", slow)
            .unwrap();
        assert!(run(registry, CANCELED).await.is_success());
    }

    #[tokio::test(start_paused = true)]
    async fn the_common_timeout_holds_for_handlers_without_their_own() {
        let registry = HandlerRegistry::new()
            .on_any("common", |_| pending())
            .unwrap()
            .on_any("own", |_| pending())
            .unwrap()
            .with_timeout_for("own", Duration::from_millis(1500))
            .unwrap()
            .with_handler_timeout(Duration::from_secs(3))
            .unwrap()
            .on_any("later", |_| pending())
            .unwrap();
        let started = tokio::time::Instant::now();
        let report = run(registry, CANCELED).await;
        let told: Vec<_> = report
            .runs()
            .iter()
            .map(|run| run.outcome.to_string())
            .collect();
        assert_eq!(
            told,
            [
                "timed out after 3s",
                "timed out after 1.5s",
                "timed out after 3s"
            ]
        );
        assert_eq!(started.elapsed(), Duration::from_millis(7500));
    }

    #[tokio::test]
    async fn one_retryable_error_among_permanent_ones_fails_the_event() {
        let registry = HandlerRegistry::new()
            .on_any("lost", async |_| Err(HandlerError::permanent("lost")))
            .unwrap()
            .on_any("late", async |_| Err("late".into()))
            .unwrap();
        let failed = registry.oneshot(event(CANCELED)).await.unwrap_err();
        assert_eq!(
            outcomes(failed.report()),
            [("lost", "permanent"), ("late", "error")]
        );
        assert_eq!(failed.source().unwrap().to_string(), "late");
    }
}

mod typing {
    use tower_pyannote_test_support::typing::waits_for_a_blocking_thread;

    use super::*;

    fn long_body(length: usize) -> String {
        let turn = r#"{"speaker":"SPEAKER_00","start":0.5,"end":2.0}"#;
        let before = r#"{"jobId":"j","status":"succeeded","output":{"diarization":["#;
        let after = "]}}";
        let blanks = length - before.len() - turn.len() - after.len();
        format!("{before}{turn}{}{after}", " ".repeat(blanks))
    }

    #[test]
    fn a_big_output_is_typed_off_the_worker() {
        let scribe = HandlerRegistry::new().register("scribe", Scribe::new(Log::default()));
        let body = long_body((1 << 20) + 1);
        assert!(waits_for_a_blocking_thread(&scribe.unwrap(), event(body)));
    }

    #[test]
    fn an_output_of_up_to_a_mebibyte_is_typed_in_place() {
        let scribe = HandlerRegistry::new().register("scribe", Scribe::new(Log::default()));
        let body = long_body(1 << 20);
        assert!(!waits_for_a_blocking_thread(&scribe.unwrap(), event(body)));
    }

    #[test]
    fn a_big_output_that_no_handler_needs_is_not_typed() {
        let registry = HandlerRegistry::new()
            .on_any("any", async |_| Ok(()))
            .unwrap()
            .on_failed("failed", async |_| Ok(()))
            .unwrap()
            .register("bytes", Arc::new(Scribe::bytes_only(Log::default())))
            .unwrap();
        assert!(!waits_for_a_blocking_thread(
            &registry,
            event(long_body(2 << 20))
        ));
    }

    #[test]
    fn a_big_body_without_an_output_to_type_is_handled_in_place() {
        let scribe = HandlerRegistry::new().register("scribe", Idle);
        let body = format!(
            r#"{{"jobId":"j","status":"failed"{}}}"#,
            " ".repeat(2 << 20)
        );
        assert!(!waits_for_a_blocking_thread(&scribe.unwrap(), event(body)));
    }
}

mod layers {
    use super::*;

    #[tokio::test]
    async fn timeout_limit_and_load_shed_go_around_the_registry() {
        let service = ServiceBuilder::new()
            .timeout(Duration::from_secs(5))
            .load_shed()
            .concurrency_limit(1)
            .service(closures(&Log::default()));
        let report = service.oneshot(event(DIARIZATION)).await.unwrap();
        assert_eq!(report.runs().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_outer_timeout_cuts_the_sum_of_the_handlers() {
        let registry = HandlerRegistry::new()
            .on_any("slow", |_| pending())
            .unwrap();
        let service = ServiceBuilder::new()
            .timeout(Duration::from_secs(5))
            .service(registry);
        let error = service.oneshot(event(CANCELED)).await.unwrap_err();
        assert!(error.is::<tower::timeout::error::Elapsed>());
    }

    #[tokio::test]
    async fn load_shed_refuses_while_the_limit_is_reached() {
        let registry = HandlerRegistry::new()
            .on_any("slow", |_| pending())
            .unwrap();
        let service = ServiceBuilder::new()
            .load_shed()
            .concurrency_limit(1)
            .service(registry);
        let first = service.clone().oneshot(event(CANCELED));
        let mut first = std::pin::pin!(first);
        assert!(std::future::poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx).is_pending())).await);
        let error = service.oneshot(event(CANCELED)).await.unwrap_err();
        assert!(error.is::<tower::load_shed::error::Overloaded>());
    }

    #[derive(Clone)]
    struct Attempts(usize);

    impl tower::retry::Policy<WebhookEvent, HandlerReport, HandlersFailed> for Attempts {
        type Future = Ready<()>;

        fn retry(
            &mut self,
            _: &mut WebhookEvent,
            result: &mut Result<HandlerReport, HandlersFailed>,
        ) -> Option<Ready<()>> {
            self.0 = self.0.checked_sub(1)?;
            result.is_err().then(|| ready(()))
        }

        fn clone_request(&mut self, event: &WebhookEvent) -> Option<WebhookEvent> {
            Some(event.clone())
        }
    }

    fn fails_twice(calls: &Arc<AtomicUsize>, error: fn() -> HandlerError) -> HandlerRegistry {
        let calls = calls.clone();
        HandlerRegistry::new()
            .on_any("moody", move |_| {
                let call = calls.fetch_add(1, Ordering::Relaxed);
                ready(if call < 2 { Err(error()) } else { Ok(()) })
            })
            .unwrap()
    }

    #[tokio::test]
    async fn a_retry_layer_repeats_retryable_errors() {
        let calls = Arc::default();
        let registry = fails_twice(&calls, || "not yet".into());
        let service = ServiceBuilder::new().retry(Attempts(5)).service(registry);
        let report = service.oneshot(event(CANCELED)).await.unwrap();
        assert!(report.is_success());
        assert_eq!(calls.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_retry_layer_does_not_repeat_a_permanent_error() {
        let calls = Arc::default();
        let registry = fails_twice(&calls, || HandlerError::permanent("never"));
        let service = ServiceBuilder::new().retry(Attempts(5)).service(registry);
        let report = service.oneshot(event(CANCELED)).await.unwrap();
        assert!(!report.is_success());
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }
}

mod http_side {
    use super::*;

    /// A body of no particular type, which must not be read.
    struct Unread;

    fn request(body: Option<&'static str>) -> Request<Unread> {
        let mut request = Request::new(Unread);
        if let Some(body) = body {
            request.extensions_mut().insert(event(body));
        }
        request
    }

    async fn answer<S>(service: S, body: Option<&'static str>) -> StatusCode
    where
        S: Service<Request<Unread>, Response = Response<EmptyBody>, Error = Infallible>,
    {
        let response = match service.oneshot(request(body)).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        assert!(response.headers().is_empty());
        assert_eq!(response.body().size_hint().exact(), Some(0));
        assert!(response.body().is_end_stream());
        response.status()
    }

    fn failing(error: fn() -> HandlerError) -> HandlerRegistry {
        HandlerRegistry::new()
            .on_any("good", async |_| Ok(()))
            .unwrap()
            .on_any("bad", move |_| ready(Err(error())))
            .unwrap()
    }

    #[tokio::test]
    async fn ok_is_answered_200() {
        let service = closures(&Log::default()).into_service();
        for (name, body, _) in ROUTES {
            assert_eq!(answer(service.clone(), Some(body)).await, 200, "{name}");
        }
    }

    #[tokio::test]
    async fn a_retryable_error_is_answered_500() {
        let service = failing(|| "not now".into()).into_service();
        assert_eq!(answer(service, Some(CANCELED)).await, 500);
    }

    #[tokio::test]
    async fn a_panic_is_answered_500() {
        let service = failing(|| panic!("oh")).into_service();
        assert_eq!(answer(service, Some(CANCELED)).await, 500);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_is_answered_500() {
        let registry = HandlerRegistry::new()
            .on_any("slow", |_| pending())
            .unwrap();
        assert_eq!(answer(registry.into_service(), Some(CANCELED)).await, 500);
    }

    #[tokio::test]
    async fn permanent_errors_alone_are_answered_200() {
        let service = failing(|| HandlerError::permanent("never")).into_service();
        assert_eq!(answer(service, Some(CANCELED)).await, 200);
    }

    #[tokio::test]
    async fn a_request_without_an_event_is_answered_500_and_no_handler_runs() {
        let log = Log::default();
        let service = closures(&log).into_service();
        assert_eq!(answer(service, None).await, 500);
        assert!(log.take().is_empty());
    }

    #[tokio::test]
    async fn an_error_of_a_layer_in_between_is_answered_500() {
        let shut = ServiceBuilder::new()
            .load_shed()
            .concurrency_limit(0)
            .service(closures(&Log::default()));
        assert_eq!(answer(HandlerService::new(shut), Some(CANCELED)).await, 500);
    }

    /// A service whose first polls fail, and that panics if it is called unready.
    #[derive(Clone)]
    struct Broken {
        polls_left: usize,
        ready: bool,
    }

    impl Service<WebhookEvent> for Broken {
        type Response = ();
        type Error = fmt::Error;
        type Future = Ready<Result<(), fmt::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), fmt::Error>> {
            self.ready = self.polls_left == 0;
            self.polls_left = self.polls_left.saturating_sub(1);
            Poll::Ready(if self.ready { Ok(()) } else { Err(fmt::Error) })
        }

        fn call(&mut self, _: WebhookEvent) -> Self::Future {
            assert!(
                std::mem::take(&mut self.ready),
                "called without being ready"
            );
            ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_service_that_fails_to_get_ready_is_answered_500_and_not_called() {
        let mut service = HandlerService::new(Broken {
            polls_left: 2,
            ready: false,
        });
        for expected in [500, 500, 200, 200] {
            assert_eq!(answer(&mut service, Some(CANCELED)).await, expected);
        }
    }

    #[tokio::test]
    async fn readiness_is_that_of_the_inner_service() {
        let (mock, mut handle) = tower_test::mock::pair::<WebhookEvent, ()>();
        handle.allow(0);
        let mut service = tower_test::mock::Spawn::new(HandlerService::new(mock));
        assert!(service.poll_ready::<Request<Unread>>().is_pending());
        handle.allow(1);
        assert!(service.poll_ready::<Request<Unread>>().is_ready());
    }

    #[tokio::test]
    async fn a_clone_or_a_second_call_of_a_ready_service_is_not_ready() {
        let (mock, mut handle) = tower_test::mock::pair::<WebhookEvent, ()>();
        let mut service = HandlerService::new(mock);
        let deliver = || request(Some(CANCELED));
        std::future::poll_fn(|cx| Service::<Request<Unread>>::poll_ready(&mut service, cx))
            .await
            .unwrap();

        let refused = service.clone().call(deliver()).await.unwrap();
        assert_eq!(refused.status(), StatusCode::INTERNAL_SERVER_ERROR);

        let handled = service.call(deliver());
        let (_, respond) = handle.next_request().await.unwrap();
        respond.send_response(());
        assert_eq!(handled.await.unwrap().status(), StatusCode::OK);

        let refused = service.call(deliver()).await.unwrap();
        assert_eq!(refused.status(), StatusCode::INTERNAL_SERVER_ERROR);
        drop(service);
        assert!(handle.next_request().await.is_none());
    }

    /// A layer that asks as much of its inner service as PyannoteSignatureLayer.
    #[derive(Clone)]
    struct Refusing<S>(S);

    impl<S, B, R> Service<Request<B>> for Refusing<S>
    where
        S: Service<Request<B>, Response = Response<R>>,
        R: Default,
    {
        type Response = Response<R>;
        type Error = S::Error;
        type Future = Ready<Result<Response<R>, S::Error>>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
            self.0.poll_ready(cx)
        }

        fn call(&mut self, _: Request<B>) -> Self::Future {
            let mut response = Response::new(R::default());
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            ready(Ok(response))
        }
    }

    #[tokio::test]
    async fn a_handler_service_fits_under_a_layer_and_in_an_axum_route() {
        let layered = HandlerService::new(
            ServiceBuilder::new()
                .timeout(Duration::from_secs(9))
                .concurrency_limit(4)
                .service(closures(&Log::default())),
        );
        let refusing = tower::layer::layer_fn(Refusing).layer(layered.clone());
        let router: axum::Router = axum::Router::new()
            .route("/webhook", axum::routing::post_service(layered.clone()))
            .route_service("/any", layered)
            .route("/refused", axum::routing::post_service(refusing));
        for (path, status) in [("/webhook", 200), ("/any", 200), ("/refused", 401)] {
            let mut request = Request::post(path).body(axum::body::Body::empty()).unwrap();
            request.extensions_mut().insert(event(DIARIZATION));
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), status, "{path}");
        }
    }
}

#[cfg(feature = "metrics")]
mod counted {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::*;

    #[test]
    fn outcomes_are_counted_by_name_and_kind() {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let bad = HandlerRegistry::new()
            .on_failed("error", async |_| Err("e".into()))
            .unwrap()
            .on_failed("lost", async |_| Err(HandlerError::permanent("p")))
            .unwrap()
            .on_failed("panic", async |_| panic!("oh"))
            .unwrap()
            .on_failed("late", |_| pending())
            .unwrap();
        metrics::with_local_recorder(&recorder, || {
            runtime.block_on(async {
                for body in [DIARIZATION, DIARIZATION, VOICEPRINT, STATUS_ONLY, FAILED] {
                    let _ = bad.handle(event(body)).await;
                }
            });
        });
        let mut counts = Vec::new();
        let mut timed = Vec::new();
        for (key, _, _, value) in snapshotter.snapshot().into_vec() {
            let labels: Vec<_> = key.key().labels().map(|label| label.value()).collect();
            let line = format!("{} {}", key.key().name(), labels.join(" "));
            match value {
                DebugValue::Counter(count) => counts.push(format!("{line} {count}")),
                DebugValue::Histogram(values) => timed.push(format!("{line} {}", values.len())),
                DebugValue::Gauge(_) => panic!("no gauge is expected: {line}"),
            }
        }
        counts.sort();
        timed.sort();
        assert_eq!(
            counts,
            [
                "pyannote_webhook_handler_failures_total error error 1",
                "pyannote_webhook_handler_failures_total late timeout 1",
                "pyannote_webhook_handler_failures_total lost permanent 1",
                "pyannote_webhook_handler_failures_total panic panic 1",
                "pyannote_webhook_successful_events_total diarization 2",
                "pyannote_webhook_successful_events_total none 1",
                "pyannote_webhook_successful_events_total voiceprint 1",
            ]
        );
        assert_eq!(
            timed,
            [
                "pyannote_webhook_handler_seconds error 1",
                "pyannote_webhook_handler_seconds late 1",
                "pyannote_webhook_handler_seconds lost 1",
                "pyannote_webhook_handler_seconds panic 1",
            ]
        );
    }
}

#[cfg(feature = "metrics")]
mod succeeded {
    use tower_pyannote_test_support::observe::measure;

    use super::*;

    #[test]
    fn only_events_of_succeeded_jobs_count_as_successful() {
        let metrics = measure(async || {
            for body in [DIARIZATION, STATUS_ONLY, FAILED, CANCELED] {
                let report = HandlerRegistry::new().handle(event(body)).await;
                assert!(report.is_success());
                let begun = HandlerRegistry::new();
                begun.begin(event(body), |_| false).await.succeeded();
            }
        });
        let counted: Vec<_> = metrics
            .into_iter()
            .map(|(name, value)| format!("{name} {value:?}"))
            .collect();
        assert_eq!(
            counted,
            [
                "pyannote_webhook_successful_events_total{kind=diarization} Counter(2)",
                "pyannote_webhook_successful_events_total{kind=none} Counter(2)",
            ]
        );
    }
}

#[cfg(feature = "tracing")]
mod logged {
    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged_by(service: HandlerService<HandlerRegistry>, request: Request<()>) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .with_writer(move || writer.clone())
            .finish();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let response = runtime.block_on(service.oneshot(request)).unwrap();
            assert_eq!(response.status(), 500);
        });
        let text = sink.0.lock().unwrap().clone();
        String::from_utf8(text).unwrap()
    }

    #[derive(Debug)]
    struct Undelivered(io::Error);

    impl fmt::Display for Undelivered {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("cannot send")
        }
    }

    impl Error for Undelivered {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_failure_names_handler_job_status_outcome_and_error_with_its_cause() {
        let registry = HandlerRegistry::new()
            .on_any("mail", async |_| {
                Err(Undelivered(io::Error::other("no route")).into())
            })
            .unwrap();
        let mut request = Request::new(());
        request.extensions_mut().insert(event(CANCELED));
        assert_eq!(
            logged_by(registry.into_service(), request),
            " WARN handler failed handler=\"mail\" job_id=\"j\" status=\"canceled\" outcome=\"error\" error=cannot send: no route\n \
             WARN event not handled, answered 500 error=handlers failed and should be tried again: mail (error)\n"
        );
    }

    #[derive(Debug)]
    struct Unspeakable;

    impl fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("no words")
        }
    }

    impl Error for Unspeakable {}

    #[test]
    fn after_an_error_that_panics_when_logged_the_next_handlers_run() {
        let ran = Arc::new(AtomicUsize::new(0));
        let counter = ran.clone();
        let registry = HandlerRegistry::new()
            .on_any("unspeakable", async |_| Err(Unspeakable.into()))
            .unwrap()
            .on_any("next", move |_| {
                let counter = counter.clone();
                async move {
                    counter.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                }
            })
            .unwrap();
        let mut request = Request::new(());
        request.extensions_mut().insert(event(CANCELED));
        assert_eq!(
            logged_by(registry.into_service(), request),
            " WARN event not handled, answered 500 error=handlers failed and should be tried again: unspeakable (error)\n"
        );
        assert_eq!(ran.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_missing_event_says_where_the_layer_belongs() {
        assert_eq!(
            logged_by(HandlerRegistry::new().into_service(), Request::new(())),
            "ERROR no verified event in the request: put PyannoteSignatureLayer outside the handlers\n"
        );
    }
}

mod preparation {
    use tower_pyannote::handler::EventPreparation;

    use super::*;

    /// What the preparation does, and how often it did.
    #[derive(Clone)]
    struct Prepares(Act, Arc<AtomicUsize>);

    #[derive(Clone, Copy)]
    enum Act {
        AddsOutput,
        Fails,
        FailsForGood,
        Panics,
        Hangs,
    }

    impl EventPreparation for Prepares {
        async fn prepare(&self, event: WebhookEvent) -> Result<WebhookEvent, HandlerError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            match self.0 {
                Act::AddsOutput => Ok(super::event(VOICEPRINT)),
                Act::Fails => Err(HandlerError::new("busy").retry_after(Duration::from_secs(7))),
                Act::FailsForGood => Err(HandlerError::permanent("gone")),
                Act::Panics => panic!("no words for {}", event.job_id()),
                Act::Hangs => std::future::pending().await,
            }
        }
    }

    fn prepared(act: Act) -> (HandlerRegistry, Log, Arc<AtomicUsize>) {
        let (log, count) = (Log::default(), Arc::new(AtomicUsize::new(0)));
        let (typed, any, bare) = (log.clone(), log.clone(), log.clone());
        let registry = HandlerRegistry::new()
            .with_preparation("output", Prepares(act, Arc::clone(&count)))
            .unwrap()
            .on_voiceprint("typed", move |event| {
                typed.add(format!("typed {}", event.output().voiceprint));
                async { Ok(()) }
            })
            .unwrap()
            .on_any("any", move |event| {
                any.add(format!("any {:?}", event.kind()));
                async { Ok(()) }
            })
            .unwrap()
            .on_status_only("bare", move |_| {
                bare.add("bare");
                async { Ok(()) }
            })
            .unwrap();
        (registry, log, count)
    }

    #[tokio::test]
    async fn all_handlers_get_the_event_that_was_prepared_once() {
        let (registry, log, count) = prepared(Act::AddsOutput);
        let report = registry.handle(event(STATUS_ONLY)).await;
        assert_eq!(
            outcomes(&report),
            [("typed", "success"), ("any", "success")]
        );
        assert_eq!(log.take(), ["typed AAAA", "any Some(Voiceprint)"]);
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_preparation_that_fails_is_the_only_failure_and_no_handler_runs() {
        for (act, outcome, is_retryable, delay) in [
            (Act::Fails, "error", true, Some(Duration::from_secs(7))),
            (Act::FailsForGood, "permanent", false, None),
            (Act::Panics, "panic", true, None),
            (Act::Hangs, "timeout", true, None),
        ] {
            let (registry, log, _) = prepared(act);
            let begun = tokio::time::Instant::now();
            let report = registry.handle(event(STATUS_ONLY)).await;
            assert_eq!(outcomes(&report), [("output", outcome)]);
            assert_eq!(report.is_retryable(), is_retryable, "{outcome}");
            assert_eq!(report.runs()[0].outcome.retry_delay(), delay, "{outcome}");
            assert!(log.take().is_empty(), "{outcome}");
            let expected = if outcome == "timeout" { 180 } else { 0 };
            assert_eq!(begun.elapsed().as_secs(), expected, "{outcome}");
        }
    }

    #[tokio::test]
    async fn nothing_is_prepared_if_no_handler_is_left() {
        let (registry, log, count) = prepared(Act::AddsOutput);
        let mut handlers = registry.begin(event(STATUS_ONLY), |_| true).await;
        assert!(handlers.next().is_none());
        assert_eq!(count.load(Ordering::Relaxed), 0);
        assert!(log.take().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_timeout_of_a_preparation_can_be_set() {
        let (registry, _, _) = prepared(Act::Hangs);
        let registry = registry
            .with_timeout_for("output", Duration::from_secs(5))
            .unwrap();
        let begun = tokio::time::Instant::now();
        let report = registry.handle(event(STATUS_ONLY)).await;
        assert_eq!(outcomes(&report), [("output", "timeout")]);
        assert_eq!(begun.elapsed().as_secs(), 5);
    }

    fn assert_duplicate(taken: Result<HandlerRegistry, ConfigError>, expected: &str) {
        match taken.unwrap_err() {
            ConfigError::DuplicateHandler { name, .. } => assert_eq!(&*name, expected),
            error => panic!("{error:?}"),
        }
    }

    #[test]
    fn the_name_of_a_preparation_is_its_own() {
        let count = Arc::new(AtomicUsize::new(0));
        let prepares = Prepares(Act::Fails, count);
        let (registry, _, _) = prepared(Act::Fails);
        let taken = registry.clone().with_preparation("any", prepares.clone());
        assert_duplicate(taken, "any");
        let taken = registry.clone().on_any("output", async |_| Ok(()));
        assert_duplicate(taken, "output");
        let blank = registry.with_preparation(" ", prepares);
        assert_eq!(blank.unwrap_err(), ConfigError::EmptyHandlerName);
    }
}
