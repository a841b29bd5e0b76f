//! Measures how many events a second an archive keeps on a local disk, with each store for a local directory.
//!
//! `cargo bench -p tower-pyannote-archive --features fs`, with the number of events as an optional argument. `TMPDIR` chooses the
//! disk.

use std::{
    sync::Arc,
    time::{Duration, Instant, UNIX_EPOCH},
};

use object_store::{ObjectStore, local::LocalFileSystem};
use tokio::task::JoinSet;
use tower_pyannote::{WebhookEvent, event::Delivery};
use tower_pyannote_archive::{Archive, GroupedFileSystem, Metadata};

#[tokio::main]
async fn main() {
    // Cargo passes `--bench`.
    let count = std::env::args().find_map(|argument| argument.parse().ok());
    let count: usize = count.unwrap_or(500);
    println!("archive                          bytes  at once  local/s  grouped/s");
    for bytes in [2 << 10, 300 << 10] {
        for at_once in [1, 4, 32] {
            for (name, set) in ARCHIVES {
                let mut rates = [0.0; 2];
                for (rate, is_grouped) in rates.iter_mut().zip([false, true]) {
                    let took = keep(count, bytes, at_once, set, is_grouped).await;
                    *rate = f64::from(u32::try_from(count).unwrap()) / took.as_secs_f64();
                }
                let [local, grouped] = rates;
                println!("{name:30} {bytes:>7} {at_once:>8} {local:>8.0} {grouped:>10.0}");
            }
        }
    }
}

type Set = fn(Archive) -> Archive;

/// Keeps `count` events, `at_once` at a time, and returns the duration.
async fn keep(count: usize, bytes: usize, at_once: usize, set: Set, is_grouped: bool) -> Duration {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn ObjectStore> = match is_grouped {
        true => Arc::new(GroupedFileSystem::new(dir.path()).unwrap()),
        false => {
            let store = LocalFileSystem::new_with_prefix(dir.path()).unwrap();
            Arc::new(store.with_fsync(true))
        }
    };
    let archive = set(Archive::new(store, "").unwrap());
    let events: Vec<_> = (0..count).map(|number| event(number, bytes)).collect();
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for events in events.chunks(count.div_ceil(at_once)) {
        let (archive, events) = (archive.clone(), events.to_vec());
        tasks.spawn(async move {
            for event in events {
                archive.keep(&event).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    begun.elapsed()
}

fn event(number: usize, bytes: usize) -> WebhookEvent {
    let voiceprint = "A".repeat(bytes);
    let body = format!(
        r#"{{"jobId":"job-{number}","status":"succeeded","output":{{"voiceprint":"{voiceprint}"}}}}"#
    );
    let received = UNIX_EPOCH + Duration::from_secs(u64::try_from(number).unwrap());
    WebhookEvent::new(body.into(), Delivery::at(received)).unwrap()
}

const ARCHIVES: [(&str, Set); 3] = [
    ("claims", |archive| archive),
    ("behind an inbox", Archive::behind_inbox),
    ("behind an inbox, with sidecars", |archive| {
        archive.behind_inbox().with_metadata(Metadata::Sidecar)
    }),
];
