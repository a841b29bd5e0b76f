//! The memory of an inbox under load, measured in a process of its own.

use std::{fmt::Write, fs, process::Command, time::Duration};

use bytes::Bytes;
use tokio::task::JoinSet;
use tower_pyannote::{Diarization, HandlerRegistry, TypedEvent, WebhookEvent, event::Delivery};
use tower_pyannote_inbox::Inbox;

use crate::place::{Place, commit, spawn, until_handled};

#[test]
fn an_inbox_takes_no_more_memory_than_its_settings_allow() {
    let place = Place::sqlite().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "memory::under_load", "--nocapture"])
        .env("ADDRESS_OF_THE_INBOX", place.address())
        // As docs/operating.md advises: glibc keeps less of the memory that was freed.
        .env("MALLOC_ARENA_MAX", "2")
        .env("MALLOC_MMAP_THRESHOLD_", "131072")
        .env("MALLOC_TRIM_THRESHOLD_", "131072")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{output}");
    let taken = output.lines().find_map(|line| line.split_once("taken: "));
    let taken: usize = taken.expect("the child prints it").1.parse().unwrap();
    let limit = 4 * COMMIT_MEMORY
        + 6 * usize::try_from(MEMORY).unwrap()
        + CONCURRENCY * (896 << 10)
        // The sender keeps the events whose commit it waits for.
        + SENDERS * BODY;
    // Without the two settings, it takes about twice as much.
    assert!(taken < limit, "{taken} bytes, and {limit} are allowed");
}

/// Delivers and handles bodies that have many times the memory of the settings.
#[tokio::test]
#[ignore = "is run by another test, in a process whose memory is measured"]
async fn under_load() {
    let address = std::env::var("ADDRESS_OF_THE_INBOX").unwrap();
    let builder = Inbox::builder(address).with_commit_memory(COMMIT_MEMORY);
    let inbox = builder.unwrap().open().await.unwrap();
    let registry = HandlerRegistry::new()
        .on_diarization("slow", async |event: TypedEvent<Diarization>| {
            tokio::time::sleep(Duration::from_millis(20)).await;
            drop(event);
            Ok(())
        })
        .unwrap();
    let worker = inbox.worker(registry).with_memory(MEMORY).unwrap();
    commit(&inbox, "first").await;
    let before = peak();
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let inbox = inbox.clone();
        senders.spawn(async move {
            for number in 0..EVENTS / SENDERS {
                let delivery = Delivery::at(std::time::UNIX_EPOCH);
                let body = body(sender, number);
                inbox
                    .commit(&WebhookEvent::new(body, delivery).unwrap())
                    .await
                    .unwrap();
            }
        });
    }
    senders.join_all().await;
    // All at once.
    let _worker = spawn(worker.with_concurrency(CONCURRENCY).unwrap());
    until_handled(&inbox, u64::try_from(EVENTS).unwrap() + 1).await;
    println!("taken: {}", peak() - before);
}

/// Returns the most memory that this process has had, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().split_whitespace().next().unwrap();
    kib.parse::<usize>().unwrap() << 10
}

fn body(sender: usize, number: usize) -> Bytes {
    let mut body =
        format!(r#"{{"jobId":"{sender}-{number}","status":"succeeded","output":{{"diarization":["#);
    while body.len() < BODY - 64 {
        let start = body.len();
        write!(body, r#"{{"speaker":"A","start":{start},"end":{start}}},"#).unwrap();
    }
    body.pop();
    body.push_str("]}}");
    body.into()
}

const COMMIT_MEMORY: usize = 1 << 20;
const MEMORY: u32 = 2 << 20;
const CONCURRENCY: usize = 16;
const SENDERS: usize = 4;
const EVENTS: usize = 32;
const BODY: usize = 1 << 20;
