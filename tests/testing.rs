//! The module for tests: signed requests, generated events, and the schedule of retries.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use tower::service_fn;
use tower_pyannote::{
    ConfigError, Diarization, Identification, Kind, Output, Status, Verifier, WebhookEvent,
    WebhookSecret,
    clock::ManualClock,
    event::{Delivery, EventError, Retry, RetryReason, Turn},
    testing::{DeliveryReport, EventBuilder, SignedRequest, WebhookSender},
    verify::{SignatureEncoding, VerifyError},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}

fn secret() -> WebhookSecret {
    WebhookSecret::new("whs_00112233445566778899aabbccddeeff").unwrap()
}

fn event(builder: &EventBuilder) -> WebhookEvent {
    builder.build_event(Delivery::at(now())).unwrap()
}

fn diarization(builder: &EventBuilder) -> Diarization {
    match event(builder).output() {
        Some(Output::Diarization(output)) => output.clone(),
        other => panic!("{other:?}"),
    }
}

fn identification(builder: &EventBuilder) -> Identification {
    match event(builder).output() {
        Some(Output::Identification(output)) => output.clone(),
        other => panic!("{other:?}"),
    }
}

fn verify(request: &SignedRequest, now: SystemTime) -> Result<SignatureEncoding, VerifyError> {
    let headers = request.headers();
    let all = |name| headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
    let (timestamps, signatures) = (all("x-request-timestamp"), all("x-signature"));
    Verifier::new(secret())
        .verify(timestamps, signatures, request.body(), now)
        .map(|verified| verified.encoding())
}

mod requests {
    use super::*;

    fn request() -> SignedRequest {
        SignedRequest::new(&secret(), "{\"jobId\":\"a\"}").with_signed_at(now())
    }

    #[test]
    fn each_encoding_of_a_signature_is_verified() {
        for encoding in [SignatureEncoding::Hex, SignatureEncoding::Base64] {
            for prefix in [false, true] {
                let request = request()
                    .with_encoding(encoding)
                    .with_version_prefix(prefix);
                assert_eq!(verify(&request, now()), Ok(encoding));
                let headers = request.headers();
                let value = headers["x-signature"].to_str().unwrap();
                assert_eq!(value.starts_with("v0="), prefix);
            }
        }
    }

    #[test]
    fn each_fault_gets_its_own_error() {
        for (name, request, error) in [
            (
                "stale",
                request().with_signed_at(now() - Duration::from_secs(601)),
                VerifyError::StaleTimestamp,
            ),
            (
                "no number",
                request().with_timestamp(HeaderValue::from_static("soon")),
                VerifyError::MalformedTimestamp,
            ),
            (
                "tampered",
                request().with_tampered_body("{\"jobId\":\"b\"}"),
                VerifyError::SignatureMismatch,
            ),
            (
                "signed as another",
                request().with_signed_body("{\"jobId\":\"b\"}"),
                VerifyError::SignatureMismatch,
            ),
        ] {
            assert_eq!(verify(&request, now()), Err(error), "{name}");
        }
        let again = request()
            .with_tampered_body("{\"jobId\":\"b\"}")
            .with_tampered_body("{\"jobId\":\"a\"}");
        assert_eq!(verify(&again, now()), Ok(SignatureEncoding::Hex));
    }

    #[test]
    fn a_request_is_signed_now_by_default() {
        let request = SignedRequest::new(&secret(), "x");
        assert_eq!(
            verify(&request, SystemTime::now()),
            Ok(SignatureEncoding::Hex)
        );
    }

    #[tokio::test]
    async fn the_request_has_the_body_and_the_headers() {
        let retry = Retry::new(2, Some(RetryReason::HttpTimeout));
        let request = request()
            .with_uri("https://example.com/hook?x=1".parse().unwrap())
            .with_retry(Some(retry))
            .to_request::<Full<Bytes>>();
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri(), "https://example.com/hook?x=1");
        for (name, value) in [
            ("content-type", "application/json"),
            ("x-request-timestamp", "1767225600"),
            ("x-retry-num", "2"),
            ("x-retry-reason", "http_timeout"),
        ] {
            assert_eq!(request.headers()[name], value);
        }
        let body = request.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "{\"jobId\":\"a\"}");
    }

    #[test]
    fn debug_shows_neither_secret_nor_signature() {
        let request = request();
        let headers = request.headers();
        let signature = headers["x-signature"].to_str().unwrap();
        for shown in [
            format!("{request:?}"),
            format!("{:?}", request.to_request::<Bytes>()),
            format!("{:?}", WebhookSender::new(&secret())),
        ] {
            assert!(
                !shown.contains(signature) && !shown.contains("whs_"),
                "{shown}"
            );
        }
    }
}

mod events {
    use super::*;

    #[test]
    fn each_constructor_builds_its_kind() {
        let succeeded = Status::Succeeded;
        for (builder, status, kind) in [
            (
                EventBuilder::diarization(),
                &succeeded,
                Some(Kind::Diarization),
            ),
            (
                EventBuilder::identification(),
                &succeeded,
                Some(Kind::Identification),
            ),
            (
                EventBuilder::voiceprint(),
                &succeeded,
                Some(Kind::Voiceprint),
            ),
            (EventBuilder::unknown(), &succeeded, Some(Kind::Unknown)),
            (EventBuilder::status_only(), &succeeded, None),
            (EventBuilder::failed(), &Status::Failed, None),
            (EventBuilder::canceled(), &Status::Canceled, None),
        ] {
            let event = event(&builder.with_job_id("j\"1"));
            assert_eq!(
                (event.job_id(), event.status(), event.kind()),
                ("j\"1", status, kind)
            );
        }
    }

    #[test]
    fn a_failed_job_has_an_error_only_if_set() {
        assert!(event(&EventBuilder::failed()).output().is_none());
        let failed = EventBuilder::failed().with_error("no \u{1f3a4}");
        assert_eq!(event(&failed).error(), Some("no \u{1f3a4}"));
    }

    #[test]
    fn only_the_turns_are_there_by_default() {
        let output = diarization(&EventBuilder::diarization());
        assert_eq!(output.diarization.speakers().len(), 3);
        let mut rest = output;
        rest.diarization = Default::default();
        assert_eq!(rest, Diarization::default());
    }

    #[test]
    fn optional_parts_leave_the_turns_unchanged() {
        let plain = EventBuilder::diarization().with_seed(5);
        let full = plain
            .clone()
            .with_words(true)
            .with_exclusive(true)
            .with_confidence(true)
            .with_speech_probability(true)
            .with_crosstalk_probability(true)
            .with_speaker_probability(true)
            .with_warning("numSpeakers could not be honored");
        let (plain, full) = (diarization(&plain), diarization(&full));
        assert_eq!(full.diarization, plain.diarization);
        assert!(!full.word_level_transcription.is_empty());
        assert_eq!(full.turn_level_transcription.len(), full.diarization.len());
        assert_eq!(full.exclusive_diarization.overlap(), 0.0);
        assert!(full.diarization.overlap() > 0.0);
        assert_eq!(
            full.exclusive_diarization.speech_time(),
            full.diarization.speech_time()
        );
        for curve in [
            &full.confidence,
            &full.speech_probability,
            &full.crosstalk_probability,
        ] {
            let curve = curve.as_ref().unwrap();
            assert_eq!((curve.score.len(), curve.resolution), (3000, 0.02));
            assert!(
                curve
                    .score
                    .iter()
                    .all(|score| (0.0..=100.0).contains(score))
            );
        }
        let speakers = full.speaker_probability.unwrap();
        for turn in plain.diarization.iter() {
            let middle = (turn.start + turn.end) / 2.0;
            assert!(
                full.speech_probability
                    .as_ref()
                    .unwrap()
                    .at(middle)
                    .unwrap()
                    >= 85.0
            );
            let score = speakers.at(&turn.speaker, middle).unwrap();
            assert!(score >= 85.0);
        }
        assert_eq!(
            full.warning.as_deref(),
            Some("numSpeakers could not be honored")
        );
    }

    #[test]
    fn each_turn_has_scores_if_set() {
        let output = diarization(&EventBuilder::diarization().with_turn_confidence(true));
        for turn in output.diarization.iter() {
            assert_eq!(turn.confidence.len(), 3);
        }
    }

    #[test]
    fn identification_has_exclusive_turns_if_set() {
        let builder = EventBuilder::identification()
            .with_duration(Duration::from_secs(600))
            .unwrap();
        assert!(identification(&builder).exclusive_diarization.is_empty());
        let output = identification(&builder.with_exclusive(true));
        assert!(output.diarization.overlap() > 0.0);
        assert_eq!(output.exclusive_diarization.overlap(), 0.0);
        assert_eq!(
            output.exclusive_diarization.speech_time(),
            output.diarization.speech_time()
        );
        let named = output.exclusive_turns();
        assert_eq!(named.speakers(), ["Ada", "Grace", "SPEAKER_02"]);
    }

    #[test]
    fn matching_follows_its_settings() {
        let builder = EventBuilder::identification()
            .with_speakers(4)
            .with_labels(["Ada", "Grace"]);
        let matched = |builder: &EventBuilder| {
            let output = identification(builder);
            let matches = output.voiceprints.iter();
            matches
                .map(|voiceprint| voiceprint.matched.as_deref().map(str::to_owned))
                .collect::<Vec<_>>()
        };
        let (ada, grace) = (Some("Ada".to_owned()), Some("Grace".to_owned()));
        assert_eq!(matched(&builder), [ada.clone(), grace.clone(), None, None]);
        let shared = builder.clone().with_exclusive_matching(false);
        assert_eq!(matched(&shared), [ada.clone(), grace.clone(), ada, grace]);
        let strict = builder.clone().with_matching_threshold(99);
        assert_eq!(matched(&strict), [None, None, None, None]);

        let output = identification(&builder);
        assert_eq!(output.identification.len(), output.diarization.len());
        for turn in &output.identification {
            let expected = match turn.diarization_speaker.as_str() {
                "SPEAKER_00" => "Ada",
                "SPEAKER_01" => "Grace",
                other => other,
            };
            assert_eq!(turn.speaker.as_deref(), Some(expected));
        }
    }

    #[test]
    fn given_turns_stay_unchanged_and_the_other_parts_fit_them() {
        let turns = [
            Turn::new("Ada \"A.\"", 0.125, 1.5),
            Turn::new("SPEAKER_07", 1.25, 3.0),
            Turn::new("Ada \"A.\"", 59.0, 59.5),
        ];
        let output = diarization(
            &EventBuilder::diarization()
                .with_speakers(5)
                .with_turns(turns.clone())
                .with_words(true)
                .with_exclusive(true)
                .with_speech_probability(true)
                .with_speaker_probability(true),
        );
        assert_eq!(*output.diarization, turns);
        let exclusive = [
            turns[0].clone(),
            Turn::new("SPEAKER_07", 1.5, 3.0),
            turns[2].clone(),
        ];
        assert_eq!(*output.exclusive_diarization, exclusive);
        let said = output.turn_level_transcription.iter();
        let said = said.map(|said| (said.speaker.as_str(), said.start, said.end));
        let expected = turns.iter();
        let expected = expected.map(|turn| (turn.speaker.as_str(), turn.start, turn.end));
        assert!(said.eq(expected));
        let speech = output.speech_probability.unwrap();
        assert_eq!(speech.score.len(), 3000);
        assert!(speech.at(2.0).unwrap() >= 85.0 && speech.at(4.0).unwrap() <= 12.0);
        let speakers = output.speaker_probability.unwrap();
        assert!(speakers.at("Ada \"A.\"", 59.25).unwrap() >= 85.0);
        assert!(speakers.at("SPEAKER_07", 59.25).unwrap() <= 12.0);

        let builder = EventBuilder::identification().with_turns(turns);
        let output = identification(&builder.with_labels(["Ada"]));
        let speakers = output.identification.iter();
        let speakers = speakers.map(|turn| turn.speaker.as_deref().unwrap());
        assert!(speakers.eq(["Ada", "SPEAKER_07", "Ada"]));
        assert_eq!(output.voiceprints.len(), 2);
    }

    #[test]
    fn odd_times_of_given_turns_are_cut() {
        let turns = [
            Turn::new("a", 0.1239, 2.0),
            Turn::new("b", f64::NAN, f64::INFINITY),
            Turn::new("c", -1.0, 1.0),
            Turn::new("d", 4.0, 3.0),
            Turn::new("e", 1e6, 1e6),
        ];
        let builder = EventBuilder::diarization().with_turns(turns);
        let output = diarization(&builder.with_confidence(true).with_exclusive(true));
        let cut = [
            Turn::new("a", 0.123, 2.0),
            Turn::new("b", 0.0, 0.0),
            Turn::new("c", 0.0, 1.0),
            Turn::new("d", 4.0, 4.0),
            Turn::new("e", 1e6, 1e6),
        ];
        assert_eq!(*output.diarization, cut);
    }

    #[test]
    fn any_json_may_be_the_output() {
        let body = |builder: EventBuilder, output: serde_json::Value| {
            let builder = builder.with_job_id("a").with_warning("w").with_error("e");
            let body = builder.with_output(output).build();
            String::from_utf8(body.to_vec()).unwrap()
        };
        for (output, text) in [
            (serde_json::json!(null), "null"),
            (serde_json::json!("a \"word\""), r#""a \"word\"""#),
            (serde_json::json!([1, 0.5]), "[1,0.5]"),
            (
                serde_json::json!({"voiceprint": "AAAA"}),
                r#"{"voiceprint":"AAAA"}"#,
            ),
        ] {
            assert_eq!(
                body(EventBuilder::unknown(), output.clone()),
                format!(r#"{{"jobId":"a","status":"succeeded","output":{text}}}"#)
            );
            assert_eq!(
                body(EventBuilder::failed(), output),
                format!(r#"{{"jobId":"a","status":"failed","output":{text}}}"#)
            );
        }
    }

    #[test]
    fn dates_have_the_format_of_the_api() {
        let dated = EventBuilder::canceled()
            .with_job_id("a")
            .with_dates(now(), now() + DAY);
        assert_eq!(
            dated.build(),
            "{\"jobId\":\"a\",\"status\":\"canceled\",\
             \"createdAt\":\"2026-01-01T00:00:00.000Z\",\"updatedAt\":\"2026-01-02T00:00:00.000Z\"}"
        );
    }

    #[test]
    fn a_voiceprint_is_within_its_limit() {
        let event = event(&EventBuilder::voiceprint());
        let Some(Output::Voiceprint(output)) = event.output() else {
            panic!("{:?}", event.output())
        };
        assert_eq!(output.voiceprint.len(), 8192);
    }

    #[test]
    fn a_day_has_all_its_samples() {
        let day = EventBuilder::diarization()
            .with_duration(DAY)
            .unwrap()
            .with_confidence(true);
        let output = diarization(&day);
        assert_eq!(output.confidence.unwrap().score.len(), 4_320_000);
        let duration = output.diarization.duration();
        assert!((86_360.0..=86_400.0).contains(&duration), "{duration}");
    }

    #[test]
    fn over_a_day_is_refused() {
        let duration = DAY + Duration::from_secs(1);
        let error = EventBuilder::diarization()
            .with_duration(duration)
            .unwrap_err();
        assert!(matches!(error, ConfigError::EventTooLong { duration: d, .. } if d == duration));
        assert_eq!(
            error.to_string(),
            "event of 86401 s of audio: give at most 24 h, 86400 s"
        );
    }

    #[test]
    fn an_event_without_a_job_is_refused() {
        let nobodys = EventBuilder::voiceprint().with_job_id("");
        let error = nobodys.build_event(Delivery::at(now())).unwrap_err();
        assert_eq!(error, EventError::MissingJobId);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn each_seed_builds_the_same_valid_event_again(
            seed: u64, speakers: u8, seconds in 0_u64..100, flags: [bool; 7],
        ) {
            let [words, exclusive, turn, confidence, speech, crosstalk, speaker] = flags;
            for builder in [EventBuilder::diarization(), EventBuilder::identification()] {
                let builder = builder
                    .with_seed(seed)
                    .with_speakers(speakers % 12)
                    .with_duration(Duration::from_secs(seconds)).unwrap()
                    .with_words(words)
                    .with_exclusive(exclusive)
                    .with_turn_confidence(turn)
                    .with_confidence(confidence)
                    .with_speech_probability(speech)
                    .with_crosstalk_probability(crosstalk)
                    .with_speaker_probability(speaker);
                prop_assert_eq!(builder.build(), builder.build());
                let event = event(&builder);
                let turns = match event.output() {
                    Some(Output::Diarization(output)) => &output.diarization,
                    Some(Output::Identification(output)) => &output.diarization,
                    other => panic!("{other:?}"),
                };
                prop_assert!(turns.is_sorted_by(|a, b| a.start <= b.start));
                prop_assert!(turns.iter().all(|turn| turn.start < turn.end));
                prop_assert!(turns.duration() <= f64::from(u32::try_from(seconds).unwrap()));
                let heard = if seconds < 1 { 0 } else { usize::from(speakers % 12) };
                prop_assert_eq!(turns.speakers().len(), heard);
            }
        }

        #[test]
        fn another_seed_builds_another_job(seed: u64, other: u64) {
            prop_assume!(seed != other);
            let id = |seed| event(&EventBuilder::failed().with_seed(seed)).job_id().to_owned();
            prop_assert_ne!(id(seed), id(other));
        }
    }
}

mod sending {
    use super::*;

    /// Seconds since the start, number and reason of the retry, and the timestamp in seconds since the start.
    type Seen = (u64, Option<String>, Option<String>, u64);

    /// Delivers to a receiver with these answers, and advances the clock whenever the sender sleeps. Returns the attempts.
    async fn deliver(
        sender: WebhookSender<ManualClock>,
        clock: ManualClock,
        answers: Vec<Option<u16>>,
    ) -> (DeliveryReport, Vec<Seen>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut receiver = {
            let (clock, seen) = (clock.clone(), Arc::clone(&seen));
            service_fn(move |request: Request<Full<Bytes>>| {
                let header = |name| {
                    let value = request.headers().get(name)?;
                    Some(value.to_str().unwrap().to_owned())
                };
                let signed: u64 = header("x-request-timestamp").unwrap().parse().unwrap();
                let since = tower_pyannote::clock::Clock::now(&clock)
                    .duration_since(now())
                    .unwrap();
                let mut seen = seen.lock().unwrap();
                seen.push((
                    since.as_secs(),
                    header("x-retry-num"),
                    header("x-retry-reason"),
                    signed - 1_767_225_600,
                ));
                let answer = answers[seen.len() - 1];
                async move {
                    let Some(status) = answer else {
                        return std::future::pending().await;
                    };
                    let mut response = Response::new(());
                    *response.status_mut() = StatusCode::from_u16(status).unwrap();
                    Ok::<_, Infallible>(response)
                }
            })
        };
        let mover = async {
            loop {
                match clock.sleepers() {
                    0 => tokio::task::yield_now().await,
                    _ => clock.advance(Duration::from_secs(1)),
                }
            }
        };
        let report = tokio::select! {
            report = sender.deliver("{}", &mut receiver) => report,
            () = mover => unreachable!("the clock is advanced forever"),
        };
        let seen = seen.lock().unwrap().clone();
        (report, seen)
    }

    fn sender(clock: &ManualClock) -> WebhookSender<ManualClock> {
        WebhookSender::new(&secret()).with_clock(clock.clone())
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[tokio::test]
    async fn three_retries_come_at_once_after_a_minute_and_after_five_more() {
        let clock = ManualClock::new(now());
        let answers = vec![Some(500), Some(404), Some(302), Some(503)];
        let (report, seen) = deliver(sender(&clock), clock, answers).await;
        assert_eq!(
            seen,
            [
                (0, None, None, 0),
                (0, some("1"), some("http_error"), 0),
                (60, some("2"), some("http_error"), 60),
                (360, some("3"), some("http_error"), 360),
            ]
        );
        assert!(!report.accepted());
        assert_eq!(report.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
    }

    #[tokio::test]
    async fn no_answer_within_ten_seconds_is_a_timeout() {
        let clock = ManualClock::new(now());
        let (report, seen) = deliver(sender(&clock), clock, vec![None, None, Some(204)]).await;
        assert_eq!(
            seen,
            [
                (0, None, None, 0),
                (10, some("1"), some("http_timeout"), 10),
                (80, some("2"), some("http_timeout"), 80),
            ]
        );
        assert!(report.accepted());
    }

    #[tokio::test]
    async fn with_sign_once_a_retry_has_an_old_timestamp() {
        let clock = ManualClock::new(now());
        let sender = sender(&clock).with_sign_once(true);
        let (_, seen) = deliver(sender, clock, vec![None; 4]).await;
        let last = (400 - 10, some("3"), some("http_timeout"), 0);
        assert_eq!(seen.last(), Some(&last));
    }

    #[tokio::test]
    async fn an_accepted_delivery_is_not_repeated() {
        let clock = ManualClock::new(now());
        let (report, seen) = deliver(sender(&clock), clock, vec![Some(202)]).await;
        assert_eq!(seen, [(0, None, None, 0)]);
        assert_eq!(report.attempts.len(), 1);
        assert_eq!(report.attempts[0].answer, Ok(StatusCode::ACCEPTED));
    }

    #[tokio::test]
    async fn the_reasons_of_a_custom_send_reach_the_retries() {
        let clock = ManualClock::new(now());
        let sender = sender(&clock).with_schedule([Duration::ZERO; 2]);
        let mut seen = Vec::new();
        let report = sender
            .deliver_with("{}", |request: SignedRequest| {
                seen.push(request.retry().cloned());
                let reason = match seen.len() {
                    1 => RetryReason::SslError,
                    _ => RetryReason::TooManyRedirects,
                };
                std::future::ready(Err(reason))
            })
            .await;
        assert_eq!(
            seen,
            [
                None,
                Some(Retry::new(1, Some(RetryReason::SslError))),
                Some(Retry::new(2, Some(RetryReason::TooManyRedirects))),
            ]
        );
        assert_eq!((report.accepted(), report.status()), (false, None));
    }

    #[tokio::test]
    async fn an_error_of_the_service_is_a_failed_connection() {
        let mut broken =
            service_fn(|_: Request<Bytes>| std::future::ready(Err::<Response<()>, _>("broken")));
        let sender = WebhookSender::new(&secret()).with_schedule([]);
        let report = sender.deliver("{}", &mut broken).await;
        assert_eq!(
            report.attempts[0].answer,
            Err(RetryReason::ConnectionFailed)
        );
    }

    #[test]
    fn a_zero_timeout_is_refused() {
        let error = WebhookSender::new(&secret())
            .with_timeout(Duration::ZERO)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "answer timeout is zero: give a time above zero"
        );
    }
}
