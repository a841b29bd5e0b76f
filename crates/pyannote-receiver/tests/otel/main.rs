//! Traces of the receiver as a process, from a submission to the attempts of the handlers.
#![cfg(unix)]

mod collector;

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, http::StatusCode, routing::post};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use pyannote_simulator::{Config, Fault, Faults, Odds, Simulator};
use pyannoteai_client::{Client, DiarizeRequest};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::block_in_place};
use tower_pyannote::WebhookSecret;
use tower_pyannote_inbox::{Inbox, OpenTelemetry};
use tower_pyannote_test_support::{
    bodies,
    http::{Post, SECRET},
    process::{SECRET_NAME, Server, dir, run, wait_until},
};
use tracing_subscriber::layer::SubscriberExt;

use self::collector::{Collector, Span};

/// An endpoint that fails as often as a test wants, and then succeeds.
struct Endpoint {
    url: String,
    failures: Arc<AtomicU32>,
}

impl Endpoint {
    async fn start(failures: u32) -> Self {
        let failures = Arc::new(AtomicU32::new(failures));
        let left = Arc::clone(&failures);
        let answer = move || {
            let count = |left: u32| left.checked_sub(1);
            let failed = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count);
            let status = match failed {
                Ok(_) => StatusCode::INTERNAL_SERVER_ERROR,
                Err(_) => StatusCode::NO_CONTENT,
            };
            async move { status }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = Router::new().route("/", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, failures }
    }
}

/// Starts a receiver that forwards to an endpoint and sends traces to `traces`.
fn receiver(dir: TempDir, endpoint: &Endpoint, traces: &str, flags: &[&str]) -> Server {
    let all = [
        "--forward",
        &endpoint.url,
        "--backoff-first",
        "100ms",
        "--otlp-endpoint",
        traces,
    ];
    let env = [
        (SECRET_NAME, SECRET),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=k3y"),
    ];
    Server::start_in(dir, &[&all, flags].concat(), &env)
}

/// The spans of this process: those of submissions.
#[derive(Clone, Debug, Default)]
struct Submitted(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Submitted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

/// Returns the spans of this process, which has one subscriber.
fn submitted() -> Submitted {
    static SPANS: OnceLock<Submitted> = OnceLock::new();

    let spans = SPANS.get_or_init(|| {
        let spans = Submitted::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone());
        let tracer = provider.build().tracer("test");
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_context_activation(false);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::set_global_default(subscriber).unwrap();
        spans
    });
    spans.clone()
}

/// Submits a job, as a program that shares the receiver's inbox. The receiver gets its webhook. Returns the job's id, and the
/// ids of the trace and the span of the submission.
async fn submit(server: &Server, faults: Faults) -> (String, String, String) {
    let spans = submitted();
    let config = Config::new(WebhookSecret::new(SECRET).unwrap())
        // So long that the submission is recorded before the webhook, on a slow machine too.
        .with_job_time(Duration::from_secs(8))
        // Tests share the spans of submissions, so their jobs need ids of their own.
        .with_seed(fastrand::u64(..))
        .with_answer_timeout(Duration::from_secs(20))
        .with_faults(faults);
    let simulator = Simulator::start(config).await.unwrap();
    let inbox = Inbox::builder_from_path(server.data().join("inbox.sqlite"))
        .with_trace_propagation(OpenTelemetry)
        .open()
        .await
        .unwrap();
    let client = Client::builder("sk_example")
        .with_base_url(simulator.url())
        .unwrap()
        .with_submission_log(inbox.submissions())
        .with_webhook(format!("http://{}/webhook", server.address))
        .unwrap();
    let request = DiarizeRequest::new("https://example.com/a.wav").unwrap();
    let request = request.with_reference("meeting-42").unwrap();
    let job = client.build().unwrap().diarize(request).await.unwrap();
    let job_id = job.job_id.to_string();
    block_in_place(|| wait_until("the event", || server.inbox()["handled"] == 1));
    let spans = spans.0.lock().unwrap();
    let is_of_job = |span: &&SpanData| {
        let mut attributes = span.attributes.iter();
        attributes.any(|attribute| attribute.value.as_str() == *job_id)
    };
    let span = spans.iter().find(is_of_job).expect("a submission");
    assert_eq!(span.name, "pyannote_submission");
    let span = &span.span_context;
    (
        job_id,
        span.trace_id().to_string(),
        span.span_id().to_string(),
    )
}

fn handler<'a>(handlers: &'a [Span], attempt: &Span) -> &'a Span {
    let forward = |span: &&Span| {
        span.parent == attempt.id && span.attributes["handler"].starts_with("forward")
    };
    handlers
        .iter()
        .find(forward)
        .expect("the handler that forwards")
}

fn link(span: &Span) -> (String, String) {
    (span.trace.clone(), span.id.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_goes_from_the_submission_to_the_first_attempt_and_retries_are_linked() {
    let collector = Collector::start().await;
    let endpoint = Endpoint::start(1).await;
    let mut server = block_in_place(|| receiver(dir(), &endpoint, &collector.url(), &[]));
    let (job_id, trace, submission) = submit(&server, Faults::default()).await;
    block_in_place(|| {
        let webhook = &collector.wait_for("webhook", 1)[0];
        assert_eq!((&webhook.trace, &webhook.parent), (&trace, &submission));
        assert_eq!(webhook.service, "pyannote-receiver");
        assert_eq!(webhook.attributes["outcome"], "new");
        assert!(!webhook.is_error);

        let attempts = collector.wait_for("pyannote_event", 2);
        let (first, retry) = (&attempts[0], &attempts[1]);
        assert_eq!((&first.trace, &first.parent), (&trace, &webhook.id));
        assert!(first.links.is_empty());
        assert!(first.is_error);
        assert_eq!(first.attributes["outcome"], "retried");
        assert_eq!(retry.parent, "");
        assert_ne!(retry.trace, trace);
        assert_eq!(retry.links, [link(webhook)]);
        assert!(!retry.is_error);
        assert_eq!(retry.attributes["outcome"], "handled");

        // The retry leaves out the handlers that succeeded.
        let handlers = collector.wait_for("pyannote_handler", 4);
        let failed = handler(&handlers, first);
        assert_eq!(
            (&failed.trace, &*failed.attributes["outcome"]),
            (&trace, "error")
        );
        assert!(failed.is_error);
        let succeeded = handler(&handlers, retry);
        assert_eq!(
            (&succeeded.trace, &*succeeded.attributes["outcome"]),
            (&retry.trace, "success")
        );

        for span in [webhook, first, retry, failed, succeeded] {
            assert_eq!(span.attributes["job_id"], job_id);
            assert_eq!(span.attributes["status"], "succeeded");
            assert_eq!(span.attributes["kind"], "diarization");
            for hidden in ["trace_id", "span_id"] {
                assert!(!span.attributes.contains_key(hidden));
            }
        }
        server.signal("TERM");
        assert!(server.wait().success());

        // Each line about the event has the ids of its span.
        let log = server.log();
        let lines = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let of_event: Vec<_> = lines
            .filter(|line| line["span"]["name"] == "pyannote_event")
            .collect();
        assert!(of_event.len() >= 3, "{log}");
        for line in of_event {
            let attempt = match line["span"]["attempt"].as_u64() {
                Some(1) => first,
                _ => retry,
            };
            assert_eq!(line["span"]["trace_id"], *attempt.trace);
            assert_eq!(line["span"]["span_id"], *attempt.id);
        }
    });
    assert_eq!(endpoint.failures.load(Ordering::SeqCst), 0);
    assert!(
        collector
            .headers()
            .iter()
            .all(|headers| headers["api-key"] == "k3y")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempt_belongs_to_a_submission_that_is_recorded_after_the_delivery() {
    let collector = Collector::start().await;
    let endpoint = Endpoint::start(0).await;
    let text = ["--log-format", "text"];
    let server = block_in_place(|| receiver(dir(), &endpoint, &collector.url(), &text));
    let first = Faults::default().with(Fault::WebhookFirst, Odds::Percent(100.0));
    let (_, trace, submission) = submit(&server, first).await;
    block_in_place(|| {
        let webhook = &collector.wait_for("webhook", 1)[0];
        assert_eq!(webhook.parent, "");
        assert_ne!(webhook.trace, trace);
        let attempt = &collector.wait_for("pyannote_event", 1)[0];
        assert_eq!((&attempt.trace, &attempt.parent), (&trace, &submission));
        assert_eq!(attempt.links, [link(webhook)]);
        let ids = format!("trace_id={trace} span_id={}", attempt.id);
        assert!(server.log().contains(&ids), "{}", server.log());
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trace_of_an_event_outlives_the_process_and_a_traceparent_header_is_ignored() {
    let collector = Collector::start().await;
    let endpoint = Endpoint::start(0).await;
    let foreign = "0af7651916cd43dd8448eb211c80319c";
    let server = block_in_place(|| {
        let receives = ["--role", "receive"];
        let server = receiver(dir(), &endpoint, &collector.url(), &receives);
        let post = Post::new(bodies::diarization("job-1", 0));
        let post = post.header("traceparent", &format!("00-{foreign}-b7ad6b7169203331-01"));
        let post = post.header("x-retry-num", "1");
        assert_eq!(post.send(server.address).status, 200);
        server.signal("TERM");
        let dir = server.into_dir();
        // The receiver sends its spans before it exits.
        assert_eq!(collector.spans().len(), 1);
        receiver(dir, &endpoint, &collector.url(), &[])
    });
    block_in_place(|| {
        let webhook = &collector.wait_for("webhook", 1)[0];
        assert_eq!(webhook.parent, "");
        assert_eq!(webhook.attributes["retry"], "1");
        let attempt = &collector.wait_for("pyannote_event", 1)[0];
        assert_eq!(
            (&attempt.trace, &attempt.parent),
            (&webhook.trace, &webhook.id)
        );
        let same = Post::new(bodies::diarization("job-1", 0));
        assert_eq!(same.send(server.address).status, 200);
        let webhooks = collector.wait_for("webhook", 2);
        assert_eq!(webhooks[1].attributes["outcome"], "duplicate");
        for span in collector.spans() {
            assert_ne!(span.trace, foreign);
        }
        for hidden in [SECRET, same.signature(), "SPEAKER_00"] {
            assert!(!collector.has(hidden), "{hidden}");
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collector_that_is_down_or_silent_affects_neither_deliveries_nor_the_end() {
    let endpoint = Endpoint::start(0).await;
    // No thread accepts the connections of this listener, so requests time out.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for (name, url) in [("down", "http://127.0.0.1:1"), ("silent", &silent)] {
        block_in_place(|| {
            let mut server = receiver(dir(), &endpoint, url, &[]);
            for number in 0..20 {
                let begun = Instant::now();
                let post = Post::new(bodies::diarization(&bodies::job(number), 0));
                assert_eq!(post.send(server.address).status, 200, "{name}");
                assert!(begun.elapsed() < Duration::from_secs(5), "{name}");
            }
            assert_eq!(server.kept().len(), 20, "{name}");
            let begun = Instant::now();
            server.signal("TERM");
            assert!(server.wait().success(), "{name}");
            assert!(begun.elapsed() < Duration::from_secs(15), "{name}");
            let log = server.log();
            let failures = log.matches("traces were not sent").count();
            assert!(failures <= 1, "{name}: {log}");
            let last = log.matches("the last traces were not sent").count();
            assert_eq!(failures.max(last), 1, "{name}: {log}");
        });
    }
}

#[test]
fn invalid_endpoint_is_an_error_that_shows_no_credentials() {
    let hidden = "http://user:s3cret@collector:4318";
    for (name, flags, env, named) in [
        (
            "no URL",
            &["--otlp-endpoint", "collector"][..],
            &[][..],
            "--otlp-endpoint: expected",
        ),
        (
            "another scheme",
            &["--otlp-endpoint", "ftp://collector"],
            &[],
            "--otlp-endpoint: expected http",
        ),
        (
            "credentials",
            &["--otlp-endpoint", hidden],
            &[],
            "OTEL_EXPORTER_OTLP_HEADERS",
        ),
        (
            "credentials in a variable of OpenTelemetry",
            &[],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", hidden)],
            "OTEL_EXPORTER_OTLP_ENDPOINT: the URL has credentials",
        ),
    ] {
        let env = [&[(SECRET_NAME, SECRET)], env].concat();
        for command in ["serve", "check"] {
            let flags = [&[command], flags].concat();
            let ended = run(dir().path(), &flags, &env);
            assert_eq!(ended.code, Some(2), "{name}: {}", ended.stderr);
            assert_eq!(ended.stderr.lines().count(), 1, "{name}: {}", ended.stderr);
            assert!(ended.stderr.contains(named), "{name}: {}", ended.stderr);
            assert!(!ended.stderr.contains("s3cret"), "{name}: {}", ended.stderr);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standard_variables_turn_traces_on_and_off() {
    let collector = Collector::start().await;
    let base = collector.url();
    let full = format!("{base}/v1/traces");
    for (env, service) in [
        (
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &*base),
                ("OTEL_SERVICE_NAME", "one"),
            ][..],
            Some("one"),
        ),
        (
            &[
                ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &full),
                ("OTEL_RESOURCE_ATTRIBUTES", "service.name=two"),
            ],
            Some("two"),
        ),
        (
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &base),
                ("OTEL_SDK_DISABLED", "true"),
            ],
            None,
        ),
        (
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &base),
                ("OTEL_TRACES_SAMPLER", "always_off"),
            ],
            None,
        ),
    ] {
        let before = collector.spans().len();
        block_in_place(|| {
            let env = [&[(SECRET_NAME, SECRET)], env].concat();
            let mut server = Server::start_in(dir(), &["--no-handlers"], &env);
            let post = Post::new(bodies::status_only("a"));
            assert_eq!(post.send(server.address).status, 200);
            server.signal("TERM");
            assert!(server.wait().success());
        });
        let new = collector.spans().split_off(before);
        let services: Vec<_> = new.iter().map(|span| span.service.as_str()).collect();
        assert_eq!(services, Vec::from_iter(service), "{env:?}");
    }
}
