//! Deliveries a second over HTTP, from the signed request until the archive holds the event on the disk.
//!
//! The benchmark starts itself as a server, on a core of its own where `taskset` exists: `PyannoteSignatureLayer`, an inbox, a
//! worker and an archive in a `GroupedFileSystem`. Then 32 connections deliver events, each of a job of its own with a body of its
//! own. The figures are accepted events a second, handled and kept events a second, the 99th percentile of an answer's time,
//! and the server's CPU time for each event. The rows without a worker have none while events are delivered.
//!
//! FastAPI with huey takes turns with it on the same core: `SqliteHuey` with fsync, and a consumer that writes each event to a
//! file with fsync. Its packages are installed into a virtual environment beside the build.
//!
//! Environment variables:
//!
//! - `DATABASE=postgres` uses PostgreSQL instead of SQLite, and leaves huey out.
//! - `EVENTS` sets the number of 2 KiB events, 8,000 by default, and `ROUNDS` the number of rounds, 3 by default.
//! - `HANDLER=nothing` has a handler that does nothing, `HANDLER=no-fsync` an archive without fsync. Both leave huey out.
//! - `BEFORE` is the path of an older build of this benchmark, which takes turns, too.
//! - `HUEY_THREADS` sets the numbers of huey's threads, `1,4,8` by default.

mod load;
mod receiver;
mod server;

use std::{env, fs, time::Instant};

use tokio::runtime::Runtime;
use tower_pyannote_test_support::postgres::Postgres;

use self::receiver::Receiver;

fn main() {
    let runtime = Runtime::new().expect("threads can be started");
    if server::serve_if_told(&runtime) {
        return;
    }
    // `cargo test --benches` checks that the benchmark runs, and needs no figures.
    let quick = !env::args().any(|argument| argument == "--bench");
    let number = |name| env::var(name).ok().and_then(|number| number.parse().ok());
    let (events, rounds) = match quick {
        true => (50, 1),
        false => (
            number("EVENTS").unwrap_or(8_000),
            number("ROUNDS").unwrap_or(3),
        ),
    };
    let is_postgres = env::var("DATABASE").is_ok_and(|database| database == "postgres");
    let has_peer = !quick && !is_postgres && env::var_os(server::HANDLER).is_none();
    let receivers = Receiver::all(has_peer);
    println!("  bytes   events  worker  receiver          accepted/s    kept/s   p99 ms   CPU us");
    for (bytes, events) in [(2 << 10, events), (300 << 10, events / 8)] {
        for worker in [true, false] {
            let mut figures = vec![Vec::new(); receivers.len()];
            for _ in 0..rounds {
                for (receiver, figures) in receivers.iter().zip(&mut figures) {
                    let round = round(receiver, is_postgres, bytes, events, worker);
                    figures.push(runtime.block_on(round));
                }
            }
            let medians: Vec<Figures> = figures.into_iter().map(median).collect();
            for (receiver, Figures([accepted, kept, p99, cpu])) in receivers.iter().zip(&medians) {
                let name = &receiver.name;
                println!(
                    "{bytes:>7} {events:>8} {worker:>7}  {name:<17} {accepted:>10.0} {kept:>9.0} {p99:>8.1} {cpu:>8.0}"
                );
            }
            compare(&receivers, &medians);
        }
    }
}

/// Accepted and kept events a second, the 99th percentile of an answer in ms, and the CPU time of an event in microseconds.
#[derive(Clone, Copy, Default)]
struct Figures([f64; 4]);

/// Returns the median of each figure.
fn median(rounds: Vec<Figures>) -> Figures {
    let mut medians = Figures::default();
    for (index, median) in medians.0.iter_mut().enumerate() {
        let mut figures: Vec<f64> = rounds.iter().map(|round| round.0[index]).collect();
        figures.sort_by(f64::total_cmp);
        *median = figures[figures.len() / 2];
    }
    medians
}

/// Prints the ratio to the best of huey's figures.
fn compare(receivers: &[Receiver], figures: &[Figures]) {
    let peers = receivers.iter().zip(figures);
    let peers = peers.filter(|(receiver, _)| receiver.is_huey());
    let best = peers.fold([0.0_f64; 2], |best, (_, Figures([accepted, kept, ..]))| {
        [best[0].max(*accepted), best[1].max(*kept)]
    });
    if best[0] > 0.0 {
        let Figures([accepted, kept, ..]) = figures[0];
        print!(
            "        ours / huey's best: accepted {:.1}",
            accepted / best[0]
        );
        match best[1] > 0.0 {
            true => println!(", kept {:.1}", kept / best[1]),
            false => println!(),
        }
    }
}

async fn round(
    receiver: &Receiver,
    is_postgres: bool,
    bytes: usize,
    events: usize,
    worker: bool,
) -> Figures {
    let directory = tempfile::TempDir::new_in(".").expect("a directory on the disk, not in memory");
    let postgres = is_postgres.then(Postgres::start).flatten();
    let address = match &postgres {
        Some(server) => server.url("postgres"),
        None => format!("sqlite://{}/inbox.sqlite", directory.path().display()),
    };
    let kept = directory.path().join("kept");
    fs::create_dir(&kept).expect("a folder can be made");
    let kept = fs::canonicalize(kept).expect("it exists");
    let server = receiver.start(&address, &kept, worker);
    let requests = (0..events).map(|number| load::request(number, bytes));
    let requests: Vec<Vec<u8>> = requests.collect();

    let (begun, cpu) = (Instant::now(), server.cpu());
    let mut times = load::deliver_all(server.port, requests).await;
    let accepted = begun.elapsed();
    if worker {
        server.has_handled(events, &kept).await;
    }
    let handled = begun.elapsed();
    let cpu = server.cpu() - cpu;
    drop(server);
    if worker && receiver::keeps_files() {
        assert_eq!(receiver::files(&kept), events);
    }
    times.sort();
    let count = events as f64;
    Figures([
        count / accepted.as_secs_f64(),
        if worker {
            count / handled.as_secs_f64()
        } else {
            0.0
        },
        times[(times.len() - 1) * 99 / 100].as_secs_f64() * 1_000.0,
        cpu.as_secs_f64() * 1e6 / count,
    ])
}
