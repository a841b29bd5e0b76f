//! `pyannote-receiver` as a process.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    http::{SECRET, get},
    program,
};

/// A running receiver with a working directory of its own. It is killed when it is dropped.
pub struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// The address that the receiver listens on.
    pub address: SocketAddr,
    /// The address of the pages for the operator: the same, unless [`Server::private_address`] was called.
    pub pages: SocketAddr,
    /// The working directory.
    pub dir: TempDir,
}

impl Server {
    /// Starts a receiver on a free port, with a secret and no other setting.
    pub fn start() -> Self {
        Self::start_in(dir(), &[], &[(SECRET_NAME, SECRET)])
    }

    /// Starts a receiver on a free port, with further flags, and with nothing but `env` in its environment.
    pub fn start_in(dir: TempDir, flags: &[&str], env: &[(&str, &str)]) -> Self {
        let flags = [&["--port", "0"], flags].concat();
        Self::start_on_any_port(dir, &flags, env)
    }

    /// Starts a receiver as [`Server::start_in`] does, except that `flags` or `env` set the port.
    pub fn start_on_any_port(dir: TempDir, flags: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = command(dir.path(), flags, env);
        command.args(["--data-dir", "data"]);
        // One listener, unless the test asks for two.
        if !flags.contains(&"--private-listen") {
            command.args(["--private-listen", "none"]);
        }
        Self::run(command, dir)
    }

    /// Starts a receiver with these flags alone.
    pub fn start_with(dir: TempDir, flags: &[&str], env: &[(&str, &str)]) -> Self {
        let command = command(dir.path(), flags, env);
        Self::run(command, dir)
    }

    /// Returns the address of the private listener, from the second line on stdout. Call it once.
    pub fn private_address(&mut self) -> SocketAddr {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("private pages on http://");
        self.pages = address.expect("a private listener").parse().unwrap();
        self.pages
    }

    /// Starts a receiver on a free port, with a limit on its open files.
    pub fn start_limited(dir: TempDir, descriptors: u32, env: &[(&str, &str)]) -> Self {
        let mut command = Command::new("/bin/sh");
        command
            .args([
                "-c",
                "ulimit -n \"$1\" && exec \"$0\" --port 0 --data-dir data --private-listen none",
            ])
            .arg(program::binary(RECEIVER))
            .arg(descriptors.to_string())
            .env_clear()
            .envs(env.iter().copied())
            .current_dir(dir.path())
            .stdin(Stdio::null());
        Self::run(command, dir)
    }

    fn run(mut command: Command, dir: TempDir) -> Self {
        let log = File::options()
            .append(true)
            .create(true)
            .open(dir.path().join("log"));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(log.unwrap())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://");
        let address = address.unwrap_or_else(|| {
            let log = fs::read_to_string(dir.path().join("log"));
            panic!("the receiver does not listen: {line}{}", log.unwrap())
        });
        let address = address.parse().unwrap();
        Self {
            child,
            stdout,
            address,
            pages: address,
            dir,
        }
    }

    /// Returns the data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Waits until the inbox is empty, and returns the archived events by file name.
    pub fn kept(&self) -> BTreeMap<String, Vec<u8>> {
        self.settle();
        kept_in(&self.data())
    }

    /// Waits until no event is waiting or running.
    pub fn settle(&self) {
        wait_for("an empty inbox", LEASE, || {
            let inbox = self.inbox();
            inbox["waiting"] == 0 && inbox["running"] == 0
        });
    }

    /// Returns the count of events by state. The receiver counts after this call begins.
    pub fn inbox(&self) -> Value {
        let begun = Timestamp::now();
        let mut inbox = Value::Null;
        wait_until("a new count", || {
            let page = get(self.pages, "/", "application/json").body;
            let mut page: Value = serde_json::from_str(&page).unwrap();
            inbox = page["inbox"].take();
            let at = page["inbox_counted_at"].as_str();
            at.is_some_and(|at| at.parse::<Timestamp>().unwrap() >= begun)
        });
        inbox
    }

    /// Waits until the receiver ends, and returns its working directory.
    pub fn into_dir(mut self) -> TempDir {
        self.wait();
        let empty = dir();
        std::mem::replace(&mut self.dir, empty)
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// Returns the value of a series, such as `name{label="value"}`.
    pub fn metric(&self, series: &str) -> f64 {
        let page = get(self.pages, "/metrics", "*/*").body;
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in {page}"))
            .parse()
            .unwrap()
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Kills the receiver with SIGKILL, and returns its working directory.
    pub fn kill_9(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let empty = dir();
        std::mem::replace(&mut self.dir, empty)
    }

    /// Waits until the receiver ends.
    pub fn wait(&mut self) -> ExitStatus {
        wait(&mut self.child)
    }

    /// Returns what the receiver prints to stdout after its first line, up to its end.
    pub fn rest_of_stdout(&mut self) -> String {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        rest
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The exit code and the output of a receiver that has ended.
#[derive(Debug, PartialEq)]
pub struct Ended {
    /// The exit code.
    pub code: Option<i32>,
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
}

/// Runs a receiver that is expected to end by itself.
pub fn run(dir: &Path, flags: &[&str], env: &[(&str, &str)]) -> Ended {
    let mut child = command(dir, flags, env)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Read while the process runs, because it blocks once a pipe is full.
    let read = |mut pipe: Box<dyn Read + Send>| {
        thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).map(|_| text)
        })
    };
    let stdout = read(Box::new(child.stdout.take().unwrap()));
    let stderr = read(Box::new(child.stderr.take().unwrap()));
    Ended {
        code: wait(&mut child).code(),
        stdout: stdout.join().unwrap().unwrap(),
        stderr: stderr.join().unwrap().unwrap(),
    }
}

/// Returns the archived events in a data directory, by file name.
pub fn kept_in(data: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(data)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            (name.to_owned(), fs::read(&path).unwrap())
        })
        .collect()
}

/// Creates a temporary directory.
pub fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Waits until a condition holds, for at most 30 s.
pub fn wait_until(what: &str, done: impl FnMut() -> bool) {
    wait_for(what, PATIENCE, done);
}

/// Waits until a condition holds, for at most `patience`.
pub fn wait_for(what: &str, patience: Duration, done: impl FnMut() -> bool) {
    assert!(comes_within(patience, done), "waited too long for {what}");
}

/// Waits until a condition holds, and returns false if `patience` is over before.
pub fn comes_within(patience: Duration, mut done: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !done() {
        if begun.elapsed() >= patience {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}

fn wait(child: &mut Child) -> ExitStatus {
    let mut ended = None;
    wait_until("the end of the receiver", || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    ended.unwrap()
}

fn command(dir: &Path, flags: &[&str], env: &[(&str, &str)]) -> Command {
    program::command(RECEIVER, dir, flags, env)
}

/// The environment variable of the secret.
pub const SECRET_NAME: &str = "PYANNOTEAI_WEBHOOK_SECRET";

const RECEIVER: &str = "pyannote-receiver";

const PATIENCE: Duration = Duration::from_secs(30);

/// The time until the events of a killed receiver are taken over and handled.
const LEASE: Duration = Duration::from_secs(120);
