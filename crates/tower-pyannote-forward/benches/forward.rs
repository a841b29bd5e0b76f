//! Events a second from the inbox to an HTTP endpoint, beside reqwest alone and beside the worker alone.
//!
//! The endpoint is a bare HTTP server in a thread of its own, which answers 204. Each row is the median of three rounds that take
//! turns: `reqwest` posts the same bodies with as many requests in flight, `forward` calls `Forward::send`, `worker` runs a handler
//! that does nothing behind an inbox in SQLite, and `worker + forward` runs `Forward` there. The bodies are signed with one secret.
//!
//! `EVENTS` sets the number of 2 KiB events, 4,000 by default.

use std::{
    env,
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use futures_util::{StreamExt, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};
use tower_pyannote::{
    HandlerError, HandlerRegistry, WebhookEvent, WebhookHandler, event::Delivery,
};
use tower_pyannote_forward::{Forward, SigningSecret, reqwest};
use tower_pyannote_inbox::Inbox;
use tower_pyannote_test_support::bodies;

fn main() {
    let provider = rustls::crypto::ring::default_provider();
    provider.install_default().expect("it is the first");
    let endpoint = endpoint();
    let runtime = Runtime::new().expect("threads can be started");
    // `cargo test --benches` checks that the benchmark runs, and needs no figures.
    let quick = !env::args().any(|argument| argument == "--bench");
    let events = env::var("EVENTS")
        .ok()
        .and_then(|events| events.parse().ok());
    let events = if quick { 40 } else { events.unwrap_or(4_000) };
    println!("  bytes   events            what     events/s   of reqwest   of worker");
    for (bytes, events) in [(2 << 10, events), (300 << 10, events / 8)] {
        runtime.block_on(compare(endpoint, bytes, events, if quick { 1 } else { 3 }));
    }
}

async fn compare(endpoint: SocketAddr, bytes: usize, events: usize, rounds: usize) {
    let events: Arc<[WebhookEvent]> = (0..events).map(|number| event(number, bytes)).collect();
    let mut rows: [(&str, Vec<f64>); 4] =
        ["reqwest", "forward", "worker", "worker + forward"].map(|name| (name, Vec::new()));
    for _ in 0..rounds {
        let forward = forward(endpoint);
        let measured = [
            in_flight(&events, {
                let client = reqwest::Client::builder()
                    .no_proxy()
                    .build()
                    .expect("it is valid");
                move |event| {
                    let request = client
                        .post(format!("http://{endpoint}/"))
                        .body(event.raw().clone());
                    async move { request.send().await.expect("the endpoint answers") }
                }
            })
            .await,
            in_flight(&events, {
                let forward = forward.clone();
                move |event| {
                    let forward = forward.clone();
                    async move { forward.send(&event).await.expect("the endpoint answers") }
                }
            })
            .await,
            worker(&events, Nothing).await,
            worker(&events, forward).await,
        ];
        for (row, time) in rows.iter_mut().zip(measured) {
            row.1.push(events.len() as f64 / time.as_secs_f64());
        }
    }
    let medians = rows.map(|(name, mut rates)| {
        rates.sort_by(f64::total_cmp);
        (name, rates[rates.len() / 2])
    });
    let (reqwest, worker) = (medians[0].1, medians[2].1);
    let count = events.len();
    for (name, rate) in medians {
        let (of_reqwest, of_worker) = (rate / reqwest, rate / worker);
        println!(
            "{bytes:>7} {count:>8} {name:>15} {rate:>12.0} {of_reqwest:>12.2} {of_worker:>11.2}"
        );
    }
}

/// Returns the time that `send` takes for all events.
async fn in_flight<F: Future>(
    events: &[WebhookEvent],
    send: impl Fn(WebhookEvent) -> F,
) -> Duration {
    let begun = Instant::now();
    let sends = stream::iter(events.iter().cloned().map(send));
    let sent = sends.buffer_unordered(IN_FLIGHT).count().await;
    assert_eq!(sent, events.len());
    begun.elapsed()
}

/// Returns the time in which a worker handles all events.
async fn worker(events: &[WebhookEvent], handler: impl WebhookHandler) -> Duration {
    let directory = tempfile::TempDir::new_in(".").expect("a directory on the disk");
    let inbox = Inbox::sqlite(directory.path().join("inbox.sqlite")).await;
    let inbox = inbox.expect("the inbox opens");
    let commits = stream::iter(events).map(|event| inbox.commit(event));
    let committed = commits.buffer_unordered(64).count().await;
    assert_eq!(committed, events.len());

    let handled = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&handled);
    let registry = HandlerRegistry::new()
        .register("handler", handler)
        .and_then(|registry| {
            registry.on_any("count", move |_| {
                counted.fetch_add(1, Ordering::SeqCst);
                std::future::ready(Ok(()))
            })
        });
    let worker = inbox.worker(registry.expect("the names differ"));
    let worker = worker.with_concurrency(IN_FLIGHT).expect("it is in range");
    let begun = Instant::now();
    let all = async {
        while handled.load(Ordering::SeqCst) < events.len() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        begun.elapsed()
    };
    let (time, finished) = tokio::sync::oneshot::channel();
    let (elapsed, worked) = tokio::join!(
        async {
            let elapsed = all.await;
            drop(time);
            elapsed
        },
        worker.run_until(async { drop(finished.await as Result<(), _>) }),
    );
    worked.expect("the worker hands back its events");
    elapsed
}

struct Nothing;

impl WebhookHandler for Nothing {
    fn needs_output(&self) -> bool {
        false
    }

    async fn any(&self, _: &WebhookEvent) -> Result<(), HandlerError> {
        Ok(())
    }
}

fn forward(endpoint: SocketAddr) -> Forward {
    let secret = SigningSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    Forward::to(format!("http://{endpoint}/"))
        .with_allow_private(true)
        .add_secret(secret.expect("it is one"))
        .with_in_flight(IN_FLIGHT)
        .and_then(|builder| builder.build())
        .expect("the settings are valid")
}

fn event(number: usize, bytes: usize) -> WebhookEvent {
    let body = bodies::diarization(&bodies::job(number), bytes);
    WebhookEvent::new(body.into(), Delivery::at(SystemTime::now())).expect("it is an event")
}

/// Starts an HTTP server that reads each request and answers 204.
fn endpoint() -> SocketAddr {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
    let listener = listener.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        runtime.block_on(async {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(serve(stream));
            }
        })
    });
    address
}

async fn serve(mut stream: TcpStream) {
    let (mut buffer, mut filled) = (vec![0; 64 << 10], 0);
    loop {
        let Some(head) = buffer[..filled]
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
        else {
            match stream.read(&mut buffer[filled..]).await {
                Ok(0) | Err(_) => return,
                Ok(read) => filled += read,
            }
            continue;
        };
        let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        // One request follows another only after the answer.
        let mut left = length - (filled - head - 4);
        while left > 0 {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(read) => left -= read,
            }
        }
        filled = 0;
        if stream
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .await
            .is_err()
        {
            return;
        }
    }
}

const IN_FLIGHT: usize = 32;
