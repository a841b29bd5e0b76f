//! Deliveries a second into the inbox, and how long each waits for its commit, beside the same store with one commit each.
//!
//! One commit each: as many connections as there are senders, up to ten, of which each commits one event at a time; with
//! SQLite, which has one writer, a single one. The two ways take turns, and the medians of their rounds are printed.
//!
//! End to end: 64 senders deliver to PostgreSQL while a worker handles with a handler that does nothing. With one event a transaction
//! each of ten inboxes commits one event at a time and has a worker that handles one event at a time. `END_TO_END=1` leaves the
//! rest out, and `EVENTS` sets the events of a round.

use std::{
    env, fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tokio::{runtime::Runtime, sync::Mutex, task::JoinSet, time};
use tower_pyannote::{HandlerRegistry, WebhookEvent, event::Delivery};
use tower_pyannote_inbox::Inbox;

use tower_pyannote_test_support::postgres::Postgres;

fn main() {
    // `cargo test --benches` wants to see it run, not to wait for figures.
    let quick = !env::args().any(|argument| argument == "--bench");
    let (rounds, time) = match quick {
        true => (1, Duration::from_millis(50)),
        false => (7, Duration::from_secs(1)),
    };
    let runtime = Runtime::new().expect("threads can be started");
    let directory = tempfile::TempDir::new_in(".").expect("a directory on the disk, not in memory");
    let sqlite = format!("sqlite://{}/inbox.sqlite", directory.path().display());
    if env::var_os("END_TO_END").is_none() {
        runtime.block_on(compare("SQLite", &sqlite, 1, rounds, time));
    }
    if let Some(server) = Postgres::start() {
        let url = server.url("postgres");
        if env::var_os("END_TO_END").is_none() {
            runtime.block_on(compare("PostgreSQL", &url, 10, rounds, time));
        }
        let addresses = ["shared", "each"].map(|name| server.database(name));
        let events = env::var("EVENTS")
            .ok()
            .and_then(|events| events.parse().ok());
        let events = if quick { 64 } else { events.unwrap_or(6_400) };
        runtime.block_on(end_to_end(&addresses, rounds, events));
    }
    let waiting = format!("sqlite://{}/waiting.sqlite", directory.path().display());
    runtime.block_on(memory(&waiting, if quick { 100 } else { 10_000 }));
}

async fn compare(name: &str, address: &str, most_lanes: usize, rounds: usize, time: Duration) {
    let inbox = Inbox::open(address).await.expect("it opens");
    let shared = vec![Lane::open_to_all(&inbox)];
    let mut alone = Vec::new();
    for _ in 0..most_lanes {
        alone.push(Lane::one_at_a_time(
            &Inbox::open(address).await.expect("it opens"),
        ));
    }
    println!("{name}, events of {BYTES} bytes");
    println!("  senders   shared/s   p99 ms    each/s   p99 ms   shared/each");
    for senders in [1, 8, 64] {
        let mut figures = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            figures[0].push(round(&shared, senders, time).await);
            figures[1].push(round(&alone[..senders.min(most_lanes)], senders, time).await);
        }
        let [(rate, p99), (rate_each, p99_each)] = figures.map(medians);
        println!(
            "  {senders:>7} {rate:>10.0} {p99:>8.1} {rate_each:>9.0} {p99_each:>8.1} {:>13.2}",
            rate / rate_each
        );
    }
}

/// Compares the time from the first delivery to the end of the last event.
async fn end_to_end([shared, each]: &[String; 2], rounds: usize, events: usize) {
    let mut figures = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        let inbox = Inbox::open(shared).await.expect("it opens");
        let lanes = [Lane::open_to_all(&inbox)];
        figures[0].push(handled(&lanes, 64, events).await);
        let mut lanes = Vec::new();
        for _ in 0..10 {
            let inbox = Inbox::open(each).await.expect("it opens");
            lanes.push(Lane::one_at_a_time(&inbox));
        }
        figures[1].push(handled(&lanes, 1, events).await);
        println!("  {figures:.0?}");
    }
    let [rate, rate_each] = figures.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    println!("PostgreSQL, end to end at 64 senders");
    println!("  shared/s   each/s   shared/each");
    println!("  {rate:>8.0} {rate_each:>8.0} {:>13.2}", rate / rate_each);
}

/// Delivers events while workers run, and returns the events handled a second.
async fn handled(lanes: &[Lane], concurrency: usize, events: usize) -> f64 {
    let inbox = &lanes[0].inbox;
    let before = inbox.stats().await.expect("it counts").handled;
    let mut workers = JoinSet::new();
    for lane in lanes {
        let registry = HandlerRegistry::new().on_any("nothing", async |_: WebhookEvent| Ok(()));
        let worker = lane.inbox.worker(registry.expect("its name is its own"));
        let worker = worker.with_concurrency(concurrency);
        workers.spawn(
            worker
                .expect("it is in range")
                .run_until(std::future::pending()),
        );
    }
    let begun = Instant::now();
    let mut senders = JoinSet::new();
    for sender in 0..64 {
        let lane = lanes[sender % lanes.len()].clone();
        senders.spawn(async move {
            for _ in 0..events / 64 {
                lane.commit(&event()).await;
            }
        });
    }
    senders.join_all().await;
    let all = before + (events / 64 * 64) as u64;
    while inbox.stats().await.expect("it counts").handled < all {
        time::sleep(Duration::from_millis(5)).await;
    }
    (events / 64 * 64) as f64 / begun.elapsed().as_secs_f64()
}

/// A way into the store.
#[derive(Clone)]
struct Lane {
    inbox: Inbox,
    turn: Option<Arc<Mutex<()>>>,
}

impl Lane {
    fn open_to_all(inbox: &Inbox) -> Self {
        Self {
            inbox: inbox.clone(),
            turn: None,
        }
    }

    fn one_at_a_time(inbox: &Inbox) -> Self {
        Self {
            inbox: inbox.clone(),
            turn: Some(Arc::default()),
        }
    }

    async fn commit(&self, event: &WebhookEvent) {
        let _turn = match &self.turn {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        self.inbox.commit(event).await.expect("it commits");
    }
}

/// Commits for a while, and gives the events a second and the 99th percentile of their times in ms.
async fn round(lanes: &[Lane], senders: usize, time: Duration) -> (f64, f64) {
    let begun = Instant::now();
    let tasks = (0..senders).map(|sender| {
        let lane = lanes[sender % lanes.len()].clone();
        tokio::spawn(async move {
            let mut times = Vec::new();
            while begun.elapsed() < time {
                let event = event();
                let sent = Instant::now();
                lane.commit(&event).await;
                times.push(sent.elapsed());
            }
            times
        })
    });
    let mut times = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        times.extend(task.await.expect("it ends"));
    }
    let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
    times.sort();
    let p99 = times[(times.len() - 1) * 99 / 100];
    (rate, p99.as_secs_f64() * 1_000.0)
}

fn medians(figures: Vec<(f64, f64)>) -> (f64, f64) {
    let (mut rates, mut times): (Vec<_>, Vec<_>) = figures.into_iter().unzip();
    rates.sort_by(f64::total_cmp);
    times.sort_by(f64::total_cmp);
    (rates[rates.len() / 2], times[times.len() / 2])
}

fn event() -> WebhookEvent {
    static COUNT: AtomicU64 = AtomicU64::new(0);

    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let head = format!(r#"{{"jobId":"job-{number:012}","status":"succeeded","padding":""#);
    let body = format!("{head}{}\"}}", "x".repeat(BYTES - head.len() - 2));
    WebhookEvent::new(body.into(), Delivery::at(SystemTime::now())).expect("it is one")
}

/// What the process takes while many events wait.
async fn memory(address: &str, events: usize) {
    let inbox = Inbox::open(address).await.expect("it opens");
    let before = resident();
    for _ in 0..events / 50 {
        let commits = (0..50).map(|_| {
            let inbox = inbox.clone();
            tokio::spawn(async move { inbox.commit(&event()).await.expect("it commits") })
        });
        for commit in commits.collect::<Vec<_>>() {
            commit.await.expect("it ends");
        }
    }
    let waiting = inbox.stats().await.expect("it counts").waiting;
    let after = resident();
    println!("memory: {before} KiB before, {after} KiB with {waiting} events waiting");
}

fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let figure = line.and_then(|line| line.split_whitespace().next());
    figure
        .and_then(|figure| figure.parse().ok())
        .unwrap_or_default()
}

const BYTES: usize = 2_048;
