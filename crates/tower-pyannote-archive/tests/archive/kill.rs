use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use super::*;

const ROUNDS: usize = 20;

/// The body of an event by number, of up to 1 MiB.
fn body(number: usize) -> String {
    let voiceprint = "AbCd".repeat(number * 7919 % (1 << 18));
    format!(
        r#"{{"jobId":"job-{number}","status":"succeeded","output":{{"voiceprint":"{voiceprint}"}}}}"#
    )
}

fn number_of(name: &str) -> usize {
    let job = name.split('_').nth(2).unwrap();
    job.strip_prefix("job-").unwrap().parse().unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Claims,
    /// With metadata in a file of its own.
    BehindInbox,
}

impl Mode {
    fn of(name: &str) -> Self {
        let modes = [Self::Claims, Self::BehindInbox];
        let mode = modes.into_iter().find(|mode| format!("{mode:?}") == name);
        mode.unwrap()
    }

    fn archive(self, store: Arc<dyn ObjectStore>) -> Archive {
        let archive = Archive::new(store, "").unwrap();
        match self {
            Self::Claims => archive,
            Self::BehindInbox => archive.behind_inbox().with_metadata(Metadata::Sidecar),
        }
    }

    /// An inbox stores the time at which an event was first received.
    fn received(self, number: usize) -> SystemTime {
        match self {
            Self::Claims => SystemTime::now(),
            Self::BehindInbox => at(u64::try_from(number).unwrap()),
        }
    }
}

#[test]
#[ignore = "run by the test below as a process of its own"]
fn archives_until_it_is_killed() {
    let Ok(dir) = std::env::var("ARCHIVE_DIR") else {
        return;
    };
    let first: usize = std::env::var("ARCHIVE_FIRST").unwrap().parse().unwrap();
    let mode = Mode::of(&std::env::var("ARCHIVE_MODE").unwrap());
    let archive = mode.archive(open(dir.as_ref(), first % 2 == 0));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for number in first.. {
        let body = body(number);
        for _ in 0..2 {
            let event = event_at(mode.received(number), body.clone());
            runtime.block_on(archive.keep(&event)).unwrap();
            println!("\nkept {number}");
        }
    }
}

/// Starts a process that archives events, kills the process, and returns the last event that it acknowledged.
fn run_and_kill(mode: Mode, dir: &Path, round: usize, first: usize) -> usize {
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("{module}::archives_until_it_is_killed"),
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("ARCHIVE_DIR", dir)
        .env("ARCHIVE_MODE", format!("{mode:?}"))
        .env("ARCHIVE_FIRST", first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = lines.filter_map(|line| {
        let line = line.unwrap();
        line.strip_prefix("kept ")
            .map(|number| number.parse::<usize>().unwrap())
    });
    let mut last = said.nth(round % 7).unwrap();
    for _ in 0..(round * 7919 % 13) * 100_000 {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    last = said.last().unwrap_or(last);
    last
}

fn assert_nothing_is_half_written(dir: &Path) -> (HashSet<usize>, usize) {
    let mut numbers = HashSet::new();
    let mut leftovers = 0;
    for name in kept(dir) {
        if name.ends_with(".json") {
            let number = number_of(&name);
            assert!(numbers.insert(number), "{number} is kept twice");
            let bytes = fs::read(dir.join(&name)).unwrap();
            assert!(
                bytes == body(number).as_bytes(),
                "{name} is not as received"
            );
        } else {
            assert!(name.contains(".json#"), "{name}");
            leftovers += 1;
        }
    }
    (numbers, leftovers)
}

#[tokio::test]
async fn a_process_killed_at_any_moment_leaves_nothing_half_written() {
    kill_often(Mode::Claims).await;
}

#[tokio::test]
async fn a_process_killed_behind_an_inbox_leaves_nothing_half_written() {
    let dir = kill_often(Mode::BehindInbox).await;
    assert!(!dir.path().join(".claims").exists());
    let events = kept(dir.path());
    let events = events.iter().filter_map(|name| name.strip_suffix(".json"));
    for event in events {
        let sidecar = dir.path().join(format!(".meta/{event}.meta.json"));
        let sidecar: serde_json::Value =
            serde_json::from_slice(&fs::read(sidecar).unwrap()).unwrap();
        assert_eq!(sidecar["source"], "webhook");
    }
}

async fn kill_often(mode: Mode) -> TempDir {
    let (dir, store) = local();
    let mut next = 0;
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let last = run_and_kill(mode, dir.path(), round, next);
        acknowledged.extend(next..=last);
        // The one in progress is delivered again by the next process in every other round.
        next = last + 1 + round % 2;
        let (numbers, _) = assert_nothing_is_half_written(dir.path());
        for number in &acknowledged {
            assert!(numbers.contains(number), "{number} was lost");
        }
    }

    let archive = mode.archive(store);
    for number in 0..next {
        let event = event_at(mode.received(number), body(number));
        archive.keep(&event).await.unwrap();
    }
    let (numbers, leftovers) = assert_nothing_is_half_written(dir.path());
    assert_eq!(numbers, (0..next).collect());
    println!("{ROUNDS} kills, {next} events, {leftovers} writes cut off");
    dir
}
