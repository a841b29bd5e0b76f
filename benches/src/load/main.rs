//! Measures requests a second over loopback with keep-alive. Receivers take turns on one core, and wrk has the other core.
//!
//! `cargo run --release --bin load` measures. It starts `load serve bare|by-hand|layer PORT` beside the examples.

mod receivers;
mod wrk;

use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

use bytes::Bytes;
use tower_pyannote::{WebhookEvent, event::Delivery};
use tower_pyannote_benches::bodies::sized;
use tower_pyannote_benches::limit::BareHmac;
use tower_pyannote_benches::rounds::{median, thread_time};
use tower_pyannote_benches::{TIMESTAMP, then};

use crate::receivers::Receiver;
use crate::wrk::Measured;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", kind, port] => receivers::serve(kind, port.parse().expect("a port")),
        [] => measure(5, Duration::from_secs(3)),
        ["quick"] => measure(1, Duration::from_secs(1)),
        _ => panic!("usage: load [quick], or load serve bare|by-hand|layer PORT"),
    }
}

fn measure(rounds: usize, time: Duration) {
    let receivers = Receiver::all();
    for size in [2 << 10, 300 << 10, 16 << 20] {
        let body = sized(size);
        let mut figures: BTreeMap<&str, Vec<Measured>> = BTreeMap::new();
        let mut parts = Vec::new();
        for _ in 0..rounds {
            for receiver in &receivers {
                let measured = wrk::run(receiver, &body, time);
                figures.entry(receiver.name).or_default().push(measured);
            }
            parts.push(hash_and_scan(&body));
        }
        print(size, &receivers, &figures, median(parts));
    }
}

/// The layer's least work beside axum, in seconds of CPU time.
fn hash_and_scan(body: &Bytes) -> f64 {
    let bare = BareHmac::new();
    let times = (1 << 22) / body.len() + 1;
    let begun = thread_time();
    for _ in 0..times {
        std::hint::black_box(bare.digest(TIMESTAMP.as_bytes(), body));
        let event = WebhookEvent::new(body.clone(), Delivery::at(then()));
        std::hint::black_box(event.expect("the body is an event"));
    }
    (thread_time() - begun).as_secs_f64() / times as f64
}

fn print(size: usize, receivers: &[Receiver], figures: &BTreeMap<&str, Vec<Measured>>, parts: f64) {
    let of = |name: &str, figure: fn(&Measured) -> f64| {
        let measured = figures.get(name)?;
        Some(median(measured.iter().map(figure).collect()))
    };
    println!("\n{size} B\n");
    println!(
        "| {:<12} | requests/s |   p99 ms | CPU us/request | peak MiB |",
        ""
    );
    for receiver in receivers {
        let figure = |figure| of(receiver.name, figure).unwrap_or_default();
        println!(
            "| {:<12} | {:>10.0} | {:>8.2} | {:>14.1} | {:>8.1} |",
            receiver.name,
            figure(|measured| measured.rate),
            figure(|measured| measured.p99 * 1e3),
            figure(|measured| measured.cpu * 1e6),
            figure(|measured| measured.peak / 1024.0),
        );
    }
    println!("\nHMAC + envelope scan alone: {:.1} us", parts * 1e6);
    let ratio = |name: &str, value: Option<f64>, target: [&str; 3]| {
        let target = target[usize::from(size > 4 << 10) + usize::from(size > 1 << 20)];
        if let Some(value) = value {
            println!("{name:<52} {value:>7.2}   target {target}");
        }
    };
    let (rate, cpu) = (
        |measured: &Measured| measured.rate,
        |measured: &Measured| measured.cpu,
    );
    let quotient = |above: Option<f64>, below: Option<f64>| Some(above? / below?);
    ratio(
        "CPU of layer over (bare + HMAC + envelope scan)",
        quotient(of("layer", cpu), of("bare", cpu).map(|bare| bare + parts)),
        ["<= 1.10", "<= 0.95", "<= 1.02"],
    );
    ratio(
        "CPU of layer over the same by hand in axum",
        quotient(of("layer", cpu), of("by-hand", cpu)),
        ["-", "-", "-"],
    );
    ratio(
        "requests/s of layer over bare",
        quotient(of("layer", rate), of("bare", rate)),
        [">= 0.68", "-", "-"],
    );
    ratio(
        "requests/s of minimal over FastAPI",
        quotient(of("minimal", rate), of("fastapi", rate)),
        [">= 9", ">= 5.5", ">= 6"],
    );
    ratio(
        "requests/s of acknowledging (layer) over FastAPI",
        quotient(of("layer", rate), of("fastapi", rate)),
        [">= 11", ">= 9", ">= 12"],
    );
}
