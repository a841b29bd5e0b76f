//! How fast a worker handles a backlog of 100,000 events of 2 KiB, and whether the backlog slows the claims down.
//!
//! All events are committed first. Then a worker with a handler that does nothing handles them, 32 at a time. Each line has the
//! time of a tenth of the events, and of a count of the states beside it. SQLite and PostgreSQL. `EVENTS` sets the number.

use std::{
    env,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::{runtime::Runtime, task::JoinSet};
use tower_pyannote::{HandlerRegistry, WebhookEvent, event::Delivery};
use tower_pyannote_inbox::Inbox;
use tower_pyannote_test_support::postgres::Postgres;

fn main() {
    // `cargo test --benches` checks that the benchmark runs, and needs no figures.
    let quick = !env::args().any(|argument| argument == "--bench");
    let events = env::var("EVENTS").ok();
    let events = events.and_then(|events| events.parse().ok());
    let events = if quick {
        200
    } else {
        events.unwrap_or(100_000)
    };
    let runtime = Runtime::new().expect("threads can be started");
    let directory = tempfile::TempDir::new_in(".").expect("a directory on the disk, not in memory");
    let sqlite = format!("sqlite://{}/inbox.sqlite", directory.path().display());
    runtime.block_on(measure("SQLite", &sqlite, events));
    if let Some(server) = Postgres::start() {
        let url = format!("{}&statement-cache-capacity=100", server.url("postgres"));
        runtime.block_on(measure("PostgreSQL", &url, events));
    }
}

async fn measure(name: &str, address: &str, events: usize) {
    let inbox = Inbox::open(address).await.expect("it opens");
    let begun = Instant::now();
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let inbox = inbox.clone();
        senders.spawn(async move {
            for number in (sender..events).step_by(SENDERS) {
                inbox.commit(&event(number)).await.expect("it commits");
            }
        });
    }
    senders.join_all().await;
    let committed = begun.elapsed();
    println!("{name}: {events} events committed in {committed:.1?}");
    println!("  handled   seconds   events/s   count, ms");

    let registry = HandlerRegistry::new().on_any("nothing", async |_: WebhookEvent| Ok(()));
    let worker = inbox.worker(registry.expect("its name is its own"));
    let worker = worker.with_concurrency(32).expect("it is in range");
    let stopped = Arc::new(tokio::sync::Notify::new());
    let stop = Arc::clone(&stopped);
    let begun = Instant::now();
    let running = tokio::spawn(worker.run_until(async move { stop.notified().await }));
    let mut last = Duration::ZERO;
    for tenth in 1..=10 {
        let goal = events * tenth / 10;
        let count = loop {
            let asked = Instant::now();
            let stats = inbox.stats().await.expect("it counts");
            if stats.handled >= u64::try_from(goal).expect("a count") {
                break asked.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let elapsed = begun.elapsed();
        let rate = (events as f64 / 10.0) / (elapsed - last).as_secs_f64();
        let (seconds, count) = (elapsed.as_secs_f64(), count.as_secs_f64() * 1_000.0);
        println!("{goal:>9} {seconds:>9.2} {rate:>10.0} {count:>11.2}");
        last = elapsed;
    }
    stopped.notify_one();
    let stopped = running.await.expect("the worker ends");
    stopped.expect("it hands back what it has");
}

fn event(number: usize) -> WebhookEvent {
    let head = format!(r#"{{"jobId":"job-{number:012}","status":"succeeded","padding":""#);
    let body = format!("{head}{}\"}}", "x".repeat(2_048 - head.len() - 2));
    WebhookEvent::new(body.into(), Delivery::at(SystemTime::now())).expect("it is one")
}

const SENDERS: usize = 256;
