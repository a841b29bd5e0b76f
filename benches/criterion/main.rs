//! Measures the time and the throughput of each part. `ratios` measures ratios, because it interleaves its candidates.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use serde::de::{DeserializeOwned, IgnoredAny};
use tower::ServiceExt;
use tower_pyannote::{
    HandlerError, HandlerRegistry, SigningKey, Verifier, WebhookEvent, WebhookHandler,
    WebhookSecret, event::Delivery,
};
use tower_pyannote_benches::delivery::{Sent, answer, receiver};
use tower_pyannote_benches::exact::{self, Body};
use tower_pyannote_benches::limit::BareHmac;
use tower_pyannote_benches::{SECRET, TIMESTAMP, bodies, peers, then};

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    verify(&mut criterion);
    layer(&mut criterion);
    refusals(&mut criterion);
    envelope(&mut criterion);
    typed(&mut criterion);
    registry(&mut criterion);
    criterion.final_summary();
}

fn verify(criterion: &mut Criterion) {
    let secret = WebhookSecret::new(SECRET).expect("the secret is valid");
    let key = SigningKey::new(&secret);
    let verifier = Verifier::new(secret);
    let bare = BareHmac::new();
    let mut group = criterion.benchmark_group("verify");
    for size in [200, 1 << 10, 2 << 10, 64 << 10, 300 << 10, 16 << 20] {
        let body = bodies::sized(size);
        let signature = key.sign(TIMESTAMP, &body).to_hex();
        of_bytes(&mut group, size);
        group.bench_with_input(
            BenchmarkId::new("bare HMAC", size),
            &body,
            |bencher, body| {
                bencher.iter(|| bare.digest(black_box(TIMESTAMP.as_bytes()), body));
            },
        );
        group.bench_with_input(BenchmarkId::new("verify", size), &body, |bencher, body| {
            bencher.iter(|| {
                let (timestamp, signature) =
                    black_box((TIMESTAMP.as_bytes(), signature.as_bytes()));
                verifier
                    .verify([timestamp], [signature], body, then())
                    .expect("it is signed")
            });
        });
        for peer in peers::all(&body) {
            group.bench_function(BenchmarkId::new(peer.name, size), |bencher| {
                bencher.iter(|| assert!((peer.verify)()));
            });
        }
    }
    group.finish();
}

fn layer(criterion: &mut Criterion) {
    let bare = BareHmac::new();
    let mut group = criterion.benchmark_group("layer");
    for size in [2 << 10, 300 << 10, 16 << 20] {
        let sent = Sent::new(bodies::sized(size));
        of_bytes(&mut group, size);
        group.bench_function(BenchmarkId::new("HMAC + envelope", size), |bencher| {
            bencher.iter(|| {
                (
                    bare.digest(TIMESTAMP.as_bytes(), &sent.body),
                    event(&sent.body),
                )
            });
        });
        for (name, frame) in [("whole", size), ("in frames", 64 << 10)] {
            let sent = sent.clone().in_frames(frame);
            let mut receiver = receiver();
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter_batched(
                    || sent.request(),
                    |request| answer(&mut receiver, request),
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

fn refusals(criterion: &mut Criterion) {
    let sent = Sent::new(bodies::sized(2 << 10));
    let refused = [
        ("missing header", sent.clone().with("x-signature", None)),
        (
            "stale",
            sent.clone().with("x-request-timestamp", Some("1767220000")),
        ),
        (
            "forged",
            sent.clone().with("x-request-timestamp", Some("1767225601")),
        ),
        ("forged, 16 MiB", {
            let sent = Sent::new(bodies::sized(16 << 20)).in_frames(64 << 10);
            sent.with("x-request-timestamp", Some("1767225601"))
        }),
    ];
    let mut group = criterion.benchmark_group("refusals");
    for (name, sent) in refused {
        let mut receiver = receiver();
        of_bytes(&mut group, sent.body.len());
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || sent.request(),
                |request| {
                    let response = answer(&mut receiver, request);
                    assert!(response.status().is_client_error());
                    response
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn envelope(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("envelope");
    for (name, body) in bodies::kinds() {
        of_bytes(&mut group, body.len());
        group.bench_with_input(
            BenchmarkId::new("syntax alone", name),
            &body,
            |bencher, body| {
                bencher.iter(|| serde_json::from_slice::<IgnoredAny>(body).expect("it is JSON"));
            },
        );
        group.bench_with_input(
            BenchmarkId::new("envelope", name),
            &body,
            |bencher, body| {
                bencher.iter(|| event(body));
            },
        );
    }
    group.finish();
}

fn typed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("typed");
    for (name, body) in bodies::kinds() {
        let typed = event(&body);
        if typed
            .output()
            .is_none_or(|output| output.as_unknown().is_some())
        {
            continue;
        }
        of_bytes(&mut group, body.len());
        match name {
            "voiceprint" => exact::<exact::Voiceprint>(&mut group, name, &body),
            "identification" => exact::<exact::Identification>(&mut group, name, &body),
            _ => exact::<exact::Diarization>(&mut group, name, &body),
        }
        group.bench_with_input(BenchmarkId::new("typed", name), &body, |bencher, body| {
            bencher.iter_batched(
                || event(body),
                |event| {
                    let _ = event.output();
                    event
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn exact<T: DeserializeOwned>(group: &mut Group<'_>, name: &str, body: &Bytes) {
    group.bench_with_input(BenchmarkId::new("exact", name), body, |bencher, body| {
        bencher.iter_batched(
            || (),
            |()| serde_json::from_slice::<Body<T>>(body).expect("it fits"),
            BatchSize::PerIteration,
        );
    });
}

fn registry(criterion: &mut Criterion) {
    let registry = HandlerRegistry::new()
        .register("one", Nothing)
        .and_then(|registry| registry.register("two", Nothing))
        .expect("the names differ");
    let event = event(&bodies::minute());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.expect("a runtime can be built");
    let mut group = criterion.benchmark_group("registry");
    group.throughput(Throughput::Elements(1));
    group.bench_function("two handlers", |bencher| {
        bencher.iter(|| {
            let run = registry.clone().oneshot(event.clone());
            runtime.block_on(run)
        });
    });
    group.finish();
}

struct Nothing;

impl WebhookHandler for Nothing {
    async fn any(&self, _: &WebhookEvent) -> Result<(), HandlerError> {
        Ok(())
    }
}

fn event(body: &Bytes) -> WebhookEvent {
    WebhookEvent::new(body.clone(), Delivery::at(then())).expect("the body is an event")
}

fn of_bytes(group: &mut Group<'_>, bytes: usize) {
    group.throughput(Throughput::Bytes(bytes as u64));
    group.sample_size(if bytes > 1 << 20 { 10 } else { 50 });
}

type Group<'a> = BenchmarkGroup<'a, WallTime>;
