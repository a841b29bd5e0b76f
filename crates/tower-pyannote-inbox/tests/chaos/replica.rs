//! A process with an inbox and a worker.

use std::{
    env,
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, mpsc::Sender},
    thread,
    time::{Duration, UNIX_EPOCH},
};

use tower_pyannote::{HandlerRegistry, WebhookEvent, event::Delivery};
use tower_pyannote_inbox::Inbox;

use crate::Key;

pub(crate) struct Replica {
    pub(crate) number: u32,
    child: Child,
    stdin: ChildStdin,
}

/// The answer to a delivery.
pub(crate) struct Answer {
    pub(crate) key: Key,
    pub(crate) is_ok: bool,
}

impl Replica {
    pub(crate) fn start(
        number: u32,
        address: &str,
        effects: &Path,
        answers: Sender<Answer>,
    ) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "process_of_a_replica",
                "--nocapture",
            ])
            .env(ADDRESS, address)
            .env(EFFECTS, effects)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let Some((_, answer)) = line.split_once("answer ") else {
                    continue;
                };
                let words: Vec<u32> = answer
                    .split(' ')
                    .map(|word| word.parse().unwrap())
                    .collect();
                let [job, status, is_ok] = words[..] else {
                    panic!("{line}")
                };
                let answer = Answer {
                    key: (job, status),
                    is_ok: is_ok == 1,
                };
                // The test may be over.
                let _ = answers.send(answer);
            }
        });
        Self {
            number,
            child,
            stdin,
        }
    }

    pub(crate) fn deliver(&mut self, (job, status): Key) {
        // The process may be dead.
        let _ = self.stdin.write_all(format!("{job} {status}\n").as_bytes());
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &*pid])
            .status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn kill_9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Commits the events that stdin names, and handles those of all replicas. One attempt in four fails.
#[tokio::main]
pub(crate) async fn run() {
    let address = env::var(ADDRESS).unwrap();
    let inbox = loop {
        // The server may be down.
        match Inbox::open(&address).await {
            Ok(inbox) => break inbox,
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    let effects = File::options()
        .append(true)
        .create(true)
        .open(env::var(EFFECTS).unwrap());
    let effects = Arc::new(effects.unwrap());
    let registry = HandlerRegistry::new()
        .on_any("write", move |event: WebhookEvent| {
            let effects = Arc::clone(&effects);
            async move {
                let pid = std::process::id();
                let line = |what| {
                    let (job, status) = (event.job_id(), event.status().as_str());
                    format!("{what} {job} {status} {} {pid}\n", event.attempt())
                };
                (&*effects).write_all(line("begin").as_bytes())?;
                tokio::time::sleep(Duration::from_millis(fastrand::u64(..8))).await;
                if fastrand::u8(..) < 64 {
                    (&*effects).write_all(line("fail").as_bytes())?;
                    return Err("not yet".into());
                }
                (&*effects).write_all(line("end").as_bytes())?;
                Ok(())
            }
        })
        .unwrap();
    let worker = inbox
        .worker(registry)
        .with_lease(LEASE)
        .and_then(|worker| worker.with_backoff(RETRY, RETRY))
        .and_then(|worker| worker.with_max_attempts(1_000))
        .unwrap();
    tokio::spawn(worker.run_until(std::future::pending()));
    let (read, mut lines) = tokio::sync::mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in std::io::stdin().lines() {
            read.send(line.unwrap()).unwrap();
        }
    });
    while let Some(line) = lines.recv().await {
        let inbox = inbox.clone();
        tokio::spawn(async move {
            let (job, status) = line.split_once(' ').unwrap();
            let body = format!(r#"{{"jobId":"{job}","status":"{status}"}}"#);
            let event = WebhookEvent::new(body.into(), Delivery::at(UNIX_EPOCH)).unwrap();
            let is_ok = u8::from(inbox.commit(&event).await.is_ok());
            println!("answer {job} {status} {is_ok}");
        });
    }
}

/// Longer than the server is away on a slow machine.
pub(crate) const LEASE: Duration = Duration::from_secs(10);

/// Long enough for a later event of the job to be claimed meanwhile.
const RETRY: Duration = Duration::from_millis(300);

const ADDRESS: &str = "ADDRESS_OF_THE_INBOX";
const EFFECTS: &str = "FILE_OF_EFFECTS";
