//! Counts the instructions of a small delivery under callgrind, beside those of the least possible work.
//!
//! `.ci/instructions` runs it and compares the ratios with `baseline.json`.

use std::hint::black_box;

use bytes::Bytes;
use gungraun::prelude::*;
use http::Request;
use serde::de::IgnoredAny;
use tower_pyannote::{SigningKey, Verifier, WebhookEvent, WebhookSecret, event::Delivery};
use tower_pyannote_benches::delivery::{Pieces, Receiver, Sent, answer, receiver};
use tower_pyannote_benches::limit::BareHmac;
use tower_pyannote_benches::{SECRET, TIMESTAMP, bodies, exact, then};

#[library_benchmark(setup = signed)]
#[bench::bytes_200(200)]
#[bench::bytes_1024(1024)]
#[bench::bytes_2048(2048)]
fn verify_ours((verifier, signature, body): (Verifier, String, Bytes)) {
    let (timestamp, signature) = black_box((TIMESTAMP.as_bytes(), signature.as_bytes()));
    let verified = verifier.verify([timestamp], [signature], &body, then());
    let _ = black_box(verified.expect("it is signed"));
}

#[library_benchmark(setup = keyed)]
#[bench::bytes_200(200)]
#[bench::bytes_1024(1024)]
#[bench::bytes_2048(2048)]
fn verify_limit((bare, body): (BareHmac, Bytes)) {
    black_box(bare.digest(black_box(TIMESTAMP.as_bytes()), &body));
}

#[library_benchmark(setup = sent)]
#[bench::bytes_200(200)]
#[bench::bytes_2048(2048)]
fn layer_ours((mut receiver, request): (Receiver, Request<Pieces>)) {
    let response = black_box(answer(&mut receiver, request));
    assert!(response.status().is_success());
}

#[library_benchmark(setup = keyed)]
#[bench::bytes_200(200)]
#[bench::bytes_2048(2048)]
fn layer_limit((bare, body): (BareHmac, Bytes)) {
    black_box(bare.digest(black_box(TIMESTAMP.as_bytes()), &body));
    black_box(serde_json::from_slice::<IgnoredAny>(&body).expect("it is JSON"));
}

#[library_benchmark(setup = kind)]
#[bench::status("status")]
#[bench::voiceprint("voiceprint")]
#[bench::a("a")]
#[bench::b("b")]
#[bench::c("c")]
fn envelope_ours(body: Bytes) -> WebhookEvent {
    WebhookEvent::new(black_box(body), Delivery::at(then())).expect("the body is an event")
}

#[library_benchmark(setup = kind)]
#[bench::status("status")]
#[bench::voiceprint("voiceprint")]
#[bench::a("a")]
#[bench::b("b")]
#[bench::c("c")]
fn envelope_limit(body: Bytes) -> Bytes {
    black_box(serde_json::from_slice::<IgnoredAny>(black_box(&body)).expect("it is JSON"));
    body
}

#[library_benchmark(setup = event)]
#[bench::a("a")]
#[bench::b("b")]
#[bench::c("c")]
fn typed_ours(event: WebhookEvent) -> WebhookEvent {
    let output = black_box(&event).output();
    assert!(output.is_some_and(|output| output.as_diarization().is_some()));
    event
}

#[library_benchmark(setup = output)]
#[bench::a("a")]
#[bench::b("b")]
#[bench::c("c")]
fn typed_limit(json: Bytes) -> (Bytes, exact::Diarization) {
    let exact = serde_json::from_slice(black_box(&json)).expect("it fits");
    (json, exact)
}

fn signed(bytes: usize) -> (Verifier, String, Bytes) {
    let secret = WebhookSecret::new(SECRET).expect("the secret is valid");
    let body = bodies::sized(bytes);
    let signature = SigningKey::new(&secret).sign(TIMESTAMP, &body).to_hex();
    (Verifier::new(secret), signature, body)
}

fn keyed(bytes: usize) -> (BareHmac, Bytes) {
    (BareHmac::new(), bodies::sized(bytes))
}

fn sent(bytes: usize) -> (Receiver, Request<Pieces>) {
    let sent = Sent::new(bodies::sized(bytes));
    let mut receiver = receiver();
    // The first run initializes the lazy statics.
    answer(&mut receiver, sent.request());
    (receiver, sent.request())
}

fn kind(name: &str) -> Bytes {
    match name {
        "status" => tower_pyannote::testing::EventBuilder::status_only().build(),
        "voiceprint" => tower_pyannote::testing::EventBuilder::voiceprint().build(),
        "a" => bodies::minute(),
        "b" => bodies::turns(),
        _ => bodies::words(),
    }
}

fn event(name: &str) -> WebhookEvent {
    WebhookEvent::new(kind(name), Delivery::at(then())).expect("the body is an event")
}

fn output(name: &str) -> Bytes {
    bodies::output_of(&kind(name))
}

library_benchmark_group!(
    name = deliveries,
    benchmarks = [
        verify_ours,
        verify_limit,
        layer_ours,
        layer_limit,
        envelope_ours,
        envelope_limit,
        typed_ours,
        typed_limit
    ]
);

main!(library_benchmark_groups = deliveries);
