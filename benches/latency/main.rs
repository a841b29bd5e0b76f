//! Measures waiting times: the longest poll of one body, the end of a paced body, and a small delivery beside large ones.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tower::{Layer, Service};
use tower_pyannote::{
    PyannoteSignatureLayer, WebhookEvent, WebhookSecret, clock::ManualClock, event::Delivery,
};
use tower_pyannote_benches::bodies::sized;
use tower_pyannote_benches::delivery::{Answer, Sent};
use tower_pyannote_benches::rounds::{median, thread_time, time};
use tower_pyannote_benches::{SECRET, then};

fn main() {
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let large = if quick { 1 << 20 } else { 16 << 20 };
    let rounds = if quick { 1 } else { 21 };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.expect("threads can be started");
    longest_poll(&runtime, large, rounds);
    paced(&runtime, large, rounds);
    fairness(
        &runtime,
        large,
        Duration::from_secs(if quick { 1 } else { 10 }),
    );
}

fn layer() -> PyannoteSignatureLayer<ManualClock> {
    let secret = WebhookSecret::new(SECRET).expect("the secret is valid");
    PyannoteSignatureLayer::new(secret).with_clock(ManualClock::new(then()))
}

/// Measures the CPU time of the longest poll of a body, because other tasks wait for the thread during a poll.
fn longest_poll(runtime: &Runtime, large: usize, rounds: usize) {
    println!("\nLongest poll of the layer, one body of {large} B\n");
    for frame in [64 << 10, 400 << 10, large] {
        for waits in [false, true] {
            let sent = Sent::new(sized(large));
            let longest = (0..rounds).map(|_| {
                let body = Waiting {
                    rest: sent.body.clone(),
                    frame,
                    waits,
                    waited: false,
                };
                let mut request = Request::new(body);
                *request.method_mut() = http::Method::POST;
                *request.headers_mut() = sent.head.clone();
                let mut longest = Duration::ZERO;
                let answered = async {
                    let mut response = pin!(layer().layer(Answer).call(request));
                    poll_fn(|cx| {
                        let begun = thread_time();
                        let polled = response.as_mut().poll(cx);
                        longest = longest.max(thread_time() - begun);
                        polled
                    })
                    .await
                };
                let answered = runtime
                    .block_on(answered)
                    .expect("the service does not fail");
                assert!(answered.status().is_success());
                longest.as_secs_f64()
            });
            let longest = median(longest.collect());
            let how = if waits {
                "each waited for"
            } else {
                "all ready"
            };
            println!("  frames of {frame:>8} B, {how:<15}: {}", time(longest));
        }
    }
}

/// A body whose frames are ready, or each of which is pending once.
struct Waiting {
    rest: Bytes,
    frame: usize,
    waits: bool,
    waited: bool,
}

impl Body for Waiting {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if self.waits && !self.waited {
            self.waited = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.waited = false;
        let frame = self.frame.min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(frame)))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// Measures the time from the last byte of a body, paced at 125 MB/s as by a gigabit line, to the call of the inner service.
fn paced(runtime: &Runtime, large: usize, rounds: usize) {
    let sent = Sent::new(sized(large));
    let scans = (0..rounds.min(5)).map(|_| {
        let begun = thread_time();
        let event = WebhookEvent::new(sent.body.clone(), Delivery::at(then()));
        assert!(event.is_ok());
        (thread_time() - begun).as_secs_f64()
    });
    let scan = median(scans.collect());
    let waits = runtime.block_on(async {
        let (called, mut calls) = mpsc::unbounded_channel();
        let mut stream = connect(serve(called).await).await;
        let mut waits = Vec::new();
        for _ in 0..rounds {
            stream
                .write_all(&head(&sent))
                .await
                .expect("the server reads");
            let begun = Instant::now();
            let chunks = sent.body.chunks(64 << 10);
            let last = chunks.len() - 1;
            let mut written = 0;
            let mut ended = begun;
            for (index, chunk) in chunks.enumerate() {
                let due = begun + Duration::from_secs_f64(written as f64 / 125e6);
                tokio::time::sleep_until(due.into()).await;
                if index == last {
                    ended = Instant::now();
                }
                stream.write_all(chunk).await.expect("the server reads");
                written += chunk.len();
            }
            let called: Instant = calls.recv().await.expect("it is called");
            waits.push((called - ended).as_secs_f64());
            answer(&mut stream).await;
        }
        waits
    });
    println!("\nFrom the last byte of {large} B paced at 125 MB/s to the inner service\n");
    println!(
        "  {}, where the envelope scan alone takes {}",
        time(median(waits)),
        time(scan)
    );
}

/// Measures small deliveries while one client keeps sending large ones.
fn fairness(runtime: &Runtime, large: usize, span: Duration) {
    let (small, large) = (Sent::new(sized(2 << 10)), Sent::new(sized(large)));
    let times = runtime.block_on(async {
        let (called, mut calls) = mpsc::unbounded_channel();
        let address = serve(called).await;
        tokio::spawn(async move { while calls.recv().await.is_some() {} });
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        // The clients have threads of their own, because real clients run on other machines.
        let flood = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime can be built").block_on(async {
                let mut stream = connect(address).await;
                let mut sent = 0;
                while !until.load(Ordering::Relaxed) {
                    stream
                        .write_all(&head(&large))
                        .await
                        .expect("the server reads");
                    stream
                        .write_all(&large.body)
                        .await
                        .expect("the server reads");
                    answer(&mut stream).await;
                    sent += 1;
                }
                sent
            })
        });
        let client = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime can be built").block_on(async {
                let mut stream = connect(address).await;
                let whole = [head(&small), small.body.to_vec()].concat();
                let begun = Instant::now();
                let mut times = Vec::new();
                while begun.elapsed() < span {
                    let sent = Instant::now();
                    stream.write_all(&whole).await.expect("the server reads");
                    answer(&mut stream).await;
                    times.push(sent.elapsed().as_secs_f64());
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                times
            })
        });
        let times = tokio::task::spawn_blocking(|| client.join().expect("the thread ends")).await;
        ended.store(true, Ordering::Relaxed);
        let sent = tokio::task::spawn_blocking(|| flood.join().expect("the thread ends")).await;
        (
            times.expect("the thread ends"),
            sent.expect("the thread ends"),
        )
    });
    let (mut times, sent) = times;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| time(times[((times.len() - 1) as f64 * share) as usize]);
    println!(
        "\nA delivery of 2 KiB while one client keeps sending large ones, two worker threads\n"
    );
    println!(
        "  {} small beside {sent} large: p50 {}, p99 {}",
        times.len(),
        at(0.5),
        at(0.99)
    );
}

/// Serves the layer under axum, and sends the time of each call of the inner service.
async fn serve(called: mpsc::UnboundedSender<Instant>) -> std::net::SocketAddr {
    let webhook = move |_event: WebhookEvent| {
        let _ = called.send(Instant::now());
        async {}
    };
    let app: Router = Router::new()
        .route("/webhook", post(webhook))
        .layer(layer());
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("it has one");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn connect(address: std::net::SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("it listens");
    stream.set_nodelay(true).expect("it is a socket");
    stream
}

fn head(sent: &Sent) -> Vec<u8> {
    let mut head = b"POST /webhook HTTP/1.1\r\n".to_vec();
    for (name, value) in &sent.head {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Reads a response without a body.
async fn answer(stream: &mut TcpStream) {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        let count = stream.read_buf(&mut read).await.expect("it answers");
        assert!(count > 0, "it answers");
    }
    assert!(
        read.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&read)
    );
}
