//! Deliveries a second over HTTP, from the signed request until the archive holds the event on the disk.
//!
//! The benchmark starts itself as a server, on a core of its own where `taskset` exists: `PyannoteSignatureLayer`, an inbox, a
//! worker and an archive of files with fsync. Then 32 connections deliver events, each of a job of its own with a body of its
//! own. The figures are accepted events a second, handled and kept events a second, the 99th percentile of an answer's time,
//! and the server's CPU time for each event. The second table has no worker while events are delivered.
//!
//! `DATABASE=postgres` uses PostgreSQL instead of SQLite. `EVENTS` sets the number of 2 KiB events, 8,000 by default.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, routing};
use object_store::local::LocalFileSystem;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use tower::ServiceBuilder;
use tower_pyannote::{
    HandlerRegistry, PyannoteSignatureLayer, WebhookSecret, testing::SignedRequest,
};
use tower_pyannote_archive::Archive;
use tower_pyannote_inbox::{Inbox, InboxStats};
use tower_pyannote_test_support::postgres::Postgres;

fn main() {
    let runtime = Runtime::new().expect("threads can be started");
    if let Ok(address) = env::var(SERVE) {
        return runtime.block_on(serve(&address));
    }
    // `cargo test --benches` checks that the benchmark runs, and needs no figures.
    let quick = !env::args().any(|argument| argument == "--bench");
    let events = env::var("EVENTS")
        .ok()
        .and_then(|events| events.parse().ok());
    let events = if quick { 50 } else { events.unwrap_or(8_000) };
    println!("  bytes   events  worker  accepted/s    kept/s   p99 ms   CPU us");
    for (bytes, events) in [(2 << 10, events), (300 << 10, events / 8)] {
        for worker in [true, false] {
            let rounds = if quick { 1 } else { 3 };
            let mut figures: Vec<_> = (0..rounds)
                .map(|_| runtime.block_on(round(bytes, events, worker)))
                .collect();
            figures.sort_by(|a, b| a.accepted.total_cmp(&b.accepted));
            let Figures {
                accepted,
                kept,
                p99,
                cpu,
            } = figures[rounds / 2];
            println!(
                "{bytes:>7} {events:>8} {worker:>7} {accepted:>11.0} {kept:>9.0} {p99:>8.1} {cpu:>8.0}"
            );
        }
    }
}

/// What one round measures; the CPU time is in microseconds for each event.
#[derive(Clone, Copy)]
struct Figures {
    accepted: f64,
    kept: f64,
    p99: f64,
    cpu: f64,
}

async fn round(bytes: usize, events: usize, worker: bool) -> Figures {
    let directory = tempfile::TempDir::new_in(".").expect("a directory on the disk, not in memory");
    let postgres = env::var("DATABASE")
        .is_ok_and(|database| database == "postgres")
        .then(Postgres::start)
        .flatten();
    let address = match &postgres {
        Some(server) => server.url("postgres"),
        None => format!("sqlite://{}/inbox.sqlite", directory.path().display()),
    };
    let kept = directory.path().join("kept");
    fs::create_dir(&kept).expect("a folder can be made");
    let mut server = Server::start(&address, &kept, worker);
    let requests: Vec<Vec<u8>> = (0..events).map(|number| request(number, bytes)).collect();

    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let (begun, cpu) = (Instant::now(), server.cpu());
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            tokio::spawn(deliver(
                server.port,
                Arc::clone(&requests),
                Arc::clone(&next),
            ))
        })
        .collect();
    let mut times = Vec::new();
    for sender in senders {
        times.extend(sender.await.expect("a sender ends"));
    }
    let accepted = begun.elapsed();
    if worker {
        while server.stats().await != format!("{events} handled") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let files = fs::read_dir(kept)
            .expect("the archive exists")
            .filter(|entry| {
                entry.as_ref().is_ok_and(|entry| {
                    entry
                        .path()
                        .extension()
                        .is_some_and(|extension| extension == "json")
                })
            });
        assert_eq!(files.count(), events);
    }
    let handled = begun.elapsed();
    let cpu = server.cpu() - cpu;
    server.stop();
    times.sort();
    let count = events as f64;
    Figures {
        accepted: count / accepted.as_secs_f64(),
        kept: if worker {
            count / handled.as_secs_f64()
        } else {
            0.0
        },
        p99: times[(times.len() - 1) * 99 / 100].as_secs_f64() * 1_000.0,
        cpu: cpu.as_secs_f64() * 1e6 / count,
    }
}

async fn deliver(port: u16, requests: Arc<Vec<Vec<u8>>>, next: Arc<AtomicUsize>) -> Vec<Duration> {
    let mut stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port)))
        .await
        .expect("the server listens");
    stream.set_nodelay(true).expect("a socket");
    let mut times = Vec::new();
    let mut answer = [0; 1_024];
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let sent = Instant::now();
        stream.write_all(request).await.expect("the server reads");
        let length = stream.read(&mut answer).await.expect("the server answers");
        assert!(
            answer[..length].starts_with(b"HTTP/1.1 200"),
            "{:?}",
            String::from_utf8_lossy(&answer[..length])
        );
        times.push(sent.elapsed());
    }
    times
}

/// Renders a delivery of a job of its own, byte by byte as it is sent.
fn request(number: usize, bytes: usize) -> Vec<u8> {
    let head = format!(r#"{{"jobId":"job-{number:012}","status":"succeeded","padding":""#);
    // Digits that differ from body to body, so that no file system or database shares them.
    let filling = format!("{number:016}").repeat(bytes / 16 + 1);
    let body = format!("{head}{}\"}}", &filling[..bytes - head.len() - 2]);
    let signed = SignedRequest::new(&secret(), body.clone());
    let mut request = format!(
        "POST /webhook HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in &signed.headers() {
        request.push_str(&format!(
            "{name}: {}\r\n",
            value.to_str().expect("it is ASCII")
        ));
    }
    request.push_str("\r\n");
    request.push_str(&body);
    request.into_bytes()
}

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(address: &str, kept: &Path, worker: bool) -> Self {
        let program = env::current_exe().expect("this program");
        let pinned = Command::new("taskset")
            .args(["-c", "0", "true"])
            .status()
            .is_ok_and(|status| status.success());
        let mut command = match pinned {
            true => {
                let mut command = Command::new("taskset");
                command.args(["-c", "0"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        command
            .env(SERVE, address)
            .env(KEPT, kept)
            .env(WORKER, worker.to_string());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the server prints its port");
        let port = line.trim().parse().expect("a port");
        Self { child, port }
    }

    async fn stats(&self) -> String {
        let mut stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], self.port)))
            .await
            .expect("the server listens");
        let request = b"GET /stats HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.expect("the server reads");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .await
            .expect("the server answers");
        answer.rsplit("\r\n").next().unwrap_or_default().to_owned()
    }

    /// Returns the CPU time that the server has used, from `/proc`; zero where there is none.
    fn cpu(&self) -> Duration {
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks = |index: usize| {
            fields
                .get(index)
                .and_then(|field| field.parse::<u64>().ok())
                .unwrap_or_default()
        };
        Duration::from_millis((ticks(11) + ticks(12)) * 10)
    }

    fn stop(&mut self) {
        self.child.kill().expect("the server runs");
        self.child.wait().expect("the server ends");
    }
}

async fn serve(address: &str) {
    let inbox = Inbox::open(address).await.expect("the inbox opens");
    let layer = PyannoteSignatureLayer::new(secret());
    let (webhook, counted) = (
        ServiceBuilder::new().layer(layer).service(inbox.service()),
        inbox.clone(),
    );
    let app = Router::new().route_service("/webhook", webhook).route(
        "/stats",
        routing::get(async move || match counted.stats().await {
            Ok(InboxStats { handled, .. }) => format!("{handled} handled"),
            Err(error) => error.to_string(),
        }),
    );
    if env::var(WORKER).is_ok_and(|worker| worker == "true") {
        let kept = env::var_os(KEPT).expect("the parent sets it");
        let store = LocalFileSystem::new_with_prefix(kept)
            .expect("the folder exists")
            .with_fsync(true);
        let archive = Archive::new(Arc::new(store), "").expect("an empty prefix");
        let keep = move |event| {
            let archive = archive.clone();
            async move { archive.keep(&event).await.map(drop) }
        };
        let registry = HandlerRegistry::new()
            .on_any("archive", keep)
            .expect("its name is its own");
        let worker = inbox
            .worker(registry)
            .with_concurrency(32)
            .expect("it is in range");
        tokio::spawn(worker.run_until(std::future::pending()));
    }
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    println!("{}", listener.local_addr().expect("it is bound").port());
    axum::serve(listener, app).await.expect("it serves");
}

fn secret() -> WebhookSecret {
    WebhookSecret::new("whs_00112233445566778899aabbccddeeff").expect("it is one")
}

const SERVE: &str = "END_TO_END_SERVE";
const KEPT: &str = "END_TO_END_KEPT";
const WORKER: &str = "END_TO_END_WORKER";
const CONNECTIONS: usize = 32;
