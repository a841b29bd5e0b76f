//! Metrics and logs of the layer, and what they never hold.

#![cfg(all(
    feature = "layer",
    feature = "handler",
    feature = "metrics",
    feature = "tracing"
))]

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tower::{Layer, ServiceExt};
use tower_pyannote::{
    HandlerRegistry, PyannoteSignatureLayer, WebhookEvent,
    layer::VerifiedBody,
    metrics::{METRICS, MetricKind},
};
use tracing::Level;

use tower_pyannote_test_support::delivery::{Channel, EVENT, SECRET, clock, request, secret, sign};
use tower_pyannote_test_support::observe::{self, Metrics, snapshot};

const DIARIZATION: &[u8] = br#"{"jobId":"d-1","status":"succeeded","output":{"diarization":[]}}"#;

/// Sends the requests through a layer, one after another, and returns the metrics and the log.
fn observe(requests: Vec<Request<Full<Bytes>>>) -> (Metrics, String) {
    let inner = tower::service_fn(|_: Request<VerifiedBody>| async {
        tracing::info!("handled");
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let layer = PyannoteSignatureLayer::new(secret()).with_clock(clock());
    observe::observe(Level::TRACE, async || {
        for request in requests {
            layer.layer(inner).oneshot(request).await.unwrap();
        }
    })
}

fn good(body: &'static [u8]) -> Request<Full<Bytes>> {
    request(body, Full::from(body))
}

#[test]
fn deliveries_refusals_and_retries_are_counted_by_label() {
    let mut retried = good(EVENT);
    retried
        .headers_mut()
        .insert("x-retry-num", "1".parse().unwrap());
    retried
        .headers_mut()
        .insert("x-retry-reason", "http_timeout".parse().unwrap());
    let mut invented = good(EVENT);
    invented
        .headers_mut()
        .insert("x-retry-num", "2".parse().unwrap());
    invented
        .headers_mut()
        .insert("x-retry-reason", "anything-at-all".parse().unwrap());
    let mut unsigned = good(EVENT);
    unsigned.headers_mut().remove("x-signature");
    let forged = request(EVENT, Full::from(DIARIZATION));
    let broken: &[u8] = b"{";

    let (metrics, _) = observe(vec![
        good(DIARIZATION),
        good(DIARIZATION),
        retried,
        invented,
        unsigned,
        forged,
        request(broken, Full::from(broken)),
    ]);
    let counters: Vec<_> = metrics
        .iter()
        .filter_map(|(name, value)| match value {
            DebugValue::Counter(count) => Some((name.as_str(), *count)),
            _ => None,
        })
        .collect();
    assert_eq!(
        counters,
        [
            (
                "pyannote_webhook_failed_verifications_total{reason=missing_signature}",
                1
            ),
            (
                "pyannote_webhook_failed_verifications_total{reason=signature_mismatch}",
                1
            ),
            (
                "pyannote_webhook_failed_verifications_total{reason=syntax}",
                1
            ),
            (
                "pyannote_webhook_processed_webhooks_total{kind=diarization,status=succeeded}",
                2
            ),
            (
                "pyannote_webhook_processed_webhooks_total{kind=none,status=succeeded}",
                2
            ),
            ("pyannote_webhook_retries_total{reason=http_timeout}", 1),
            ("pyannote_webhook_retries_total{reason=other}", 1),
            (
                "pyannote_webhook_signatures_total{secret=0,encoding=hex}",
                5
            ),
        ]
    );
    let DebugValue::Histogram(sizes) = &metrics["pyannote_webhook_body_bytes{}"] else {
        panic!("the body's size is a histogram");
    };
    assert_eq!(sizes.len(), 5, "of verified bodies");
    assert!(metrics.contains_key("pyannote_webhook_verification_seconds{}"));
    let DebugValue::Gauge(in_flight) = metrics["pyannote_webhook_in_flight_bytes{}"] else {
        panic!("the bytes in flight are a gauge");
    };
    assert_eq!(in_flight.into_inner(), 0.0, "all are answered");
}

#[test]
fn bytes_in_flight_are_those_of_unanswered_requests() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let in_flight = || match snapshot(&snapshotter).get("pyannote_webhook_in_flight_bytes{}") {
        Some(DebugValue::Gauge(value)) => value.into_inner(),
        _ => panic!("the gauge has not been set"),
    };
    let inner = tower::service_fn(|_: Request<VerifiedBody>| async {
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let layer = PyannoteSignatureLayer::new(secret()).with_clock(clock());
    metrics::with_local_recorder(&recorder, || {
        let (sender, channel) = Channel::new();
        sender.send(Bytes::from_static(&EVENT[..10])).unwrap();
        let mut response = Box::pin(layer.layer(inner).oneshot(request(EVENT, channel)));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(response.as_mut().poll(&mut cx).is_pending());
        assert_eq!(in_flight(), 10.0);
        drop(response);
        assert_eq!(in_flight(), -10.0, "the difference since the last snapshot");
    });
}

#[test]
fn recorded_metrics_are_listed_with_their_kind_labels_unit_and_help() {
    let recorder = DebuggingRecorder::new();
    let registry = HandlerRegistry::new()
        .on_any("fails", async |event: WebhookEvent| match event.job_id() {
            "job-1" => Err("no".into()),
            _ => Ok(()),
        })
        .unwrap();
    let layer = PyannoteSignatureLayer::new(secret()).with_clock(clock());
    let service = layer.layer(registry.into_service());
    let mut retried = good(EVENT);
    retried
        .headers_mut()
        .insert("x-retry-num", "1".parse().unwrap());
    let forged = request(EVENT, Full::from(DIARIZATION));
    metrics::with_local_recorder(&recorder, || {
        tower_pyannote::metrics::describe();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            for request in [good(DIARIZATION), retried, forged] {
                service.clone().oneshot(request).await.unwrap();
            }
        });
    });
    let recorded = recorder.snapshotter().snapshot().into_vec();
    for metric in METRICS {
        let series = recorded
            .iter()
            .find(|(key, ..)| key.key().name() == metric.name);
        let Some((key, unit, help, value)) = series else {
            panic!("{} is not recorded", metric.name);
        };
        let kind = match value {
            DebugValue::Counter(_) => MetricKind::Counter,
            DebugValue::Gauge(_) => MetricKind::Gauge,
            DebugValue::Histogram(_) => MetricKind::Histogram,
        };
        let labels: Vec<_> = key.key().labels().map(|label| label.key()).collect();
        assert_eq!(
            (kind, &*labels),
            (metric.kind, metric.labels),
            "{}",
            metric.name
        );
        assert_eq!(
            unit.map(|unit| unit.as_str()),
            Some(metric.unit),
            "{}",
            metric.name
        );
        assert_eq!(help.as_deref(), Some(metric.help), "{}", metric.name);
    }
    for (key, ..) in &recorded {
        let listed = METRICS.iter().any(|metric| metric.name == key.key().name());
        assert!(listed, "{} is not listed", key.key().name());
    }
}

#[test]
fn delivery_is_handled_in_a_span_with_its_fields() {
    let mut retried = good(DIARIZATION);
    retried
        .headers_mut()
        .insert("x-retry-num", "3".parse().unwrap());
    let (_, log) = observe(vec![retried]);
    let handled = log.lines().find(|line| line.contains("handled")).unwrap();
    for field in [
        "webhook{",
        "job_id=\"d-1\"",
        "kind=\"diarization\"",
        "status=\"succeeded\"",
        "retry=3",
    ] {
        assert!(handled.contains(field), "{field} in {handled}");
    }
}

#[test]
fn refusal_is_logged_with_its_reason() {
    let (_, log) = observe(vec![request(EVENT, Full::from(DIARIZATION))]);
    let refused = log.lines().find(|line| line.contains("refused")).unwrap();
    for part in ["WARN", "status=401", "reason=\"signature_mismatch\""] {
        assert!(refused.contains(part), "{part} in {refused}");
    }
}

#[test]
fn metrics_and_logs_hold_no_secret_and_no_signature() {
    let forged = request(EVENT, Full::from(DIARIZATION));
    let (metrics, log) = observe(vec![good(EVENT), good(DIARIZATION), forged]);
    let told = format!("{log}{:?}", metrics.keys());
    assert!(told.contains("job-1"));
    for hidden in [SECRET, &sign(EVENT), &sign(DIARIZATION)] {
        assert!(!told.contains(hidden));
        assert!(!told.contains(&hidden[..12]));
    }
}
