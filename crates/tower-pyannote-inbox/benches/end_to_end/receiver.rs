//! The receivers that take turns: this build, an older build, and FastAPI with huey.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{self, HANDLER, KEPT, SECRET};

/// A receiver that can be started.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) name: String,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Ours(PathBuf),
    Huey { python: PathBuf, threads: usize },
}

impl Receiver {
    /// This build, the older build at the path `BEFORE`, and FastAPI with 1, 4 and 8 threads of huey, if Python is installed.
    pub(crate) fn all(huey: bool) -> Vec<Self> {
        let ours = env::current_exe().expect("this program");
        let mut all = vec![Self {
            name: "ours".to_owned(),
            kind: Kind::Ours(ours),
        }];
        if let Some(before) = env::var_os("BEFORE") {
            all.push(Self {
                name: "before".to_owned(),
                kind: Kind::Ours(before.into()),
            });
        }
        if let Some(python) = huey.then(python).flatten() {
            let threads = env::var("HUEY_THREADS").unwrap_or_else(|_| "1,4,8".to_owned());
            let threads = threads.split(',').filter_map(|number| number.parse().ok());
            all.extend(threads.map(|threads| Self {
                name: format!("huey, {threads} threads"),
                kind: Kind::Huey {
                    python: python.clone(),
                    threads,
                },
            }));
        }
        all
    }

    pub(crate) fn is_huey(&self) -> bool {
        matches!(self.kind, Kind::Huey { .. })
    }

    /// Starts the receiver, with a worker or without.
    pub(crate) fn start(&self, database: &str, kept: &Path, worker: bool) -> Running {
        match &self.kind {
            Kind::Ours(program) => {
                let mut command = server::command(program, database, kept, worker);
                let mut child = spawn(command.stdout(Stdio::piped()));
                let mut line = String::new();
                let stdout = child.stdout.take().expect("it is piped");
                let read = BufReader::new(stdout).read_line(&mut line);
                read.expect("the server prints its port");
                let port = line.trim().parse().expect("a port");
                Running {
                    children: vec![child],
                    port,
                    counts_files: false,
                }
            }
            Kind::Huey { python, threads } => {
                let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
                let port = free.local_addr().expect("it is bound").port();
                drop(free);
                let python = |arguments: &[&str]| {
                    let mut command = server::pinned(python);
                    command.args(arguments).current_dir(HERE).env(KEPT, kept);
                    command.env("PYANNOTEAI_WEBHOOK_SECRET", SECRET);
                    command.stdout(Stdio::null()).stderr(Stdio::null());
                    spawn(&mut command)
                };
                let text = port.to_string();
                let mut children = vec![python(&[
                    "-m",
                    "uvicorn",
                    "huey_app:app",
                    "--loop",
                    "uvloop",
                    "--http",
                    "httptools",
                    "--no-access-log",
                    "--log-level",
                    "critical",
                    "--port",
                    &text,
                ])];
                if worker {
                    let threads = threads.to_string();
                    children.push(python(&[
                        "-m",
                        "huey.bin.huey_consumer",
                        "huey_app.huey",
                        "-q",
                        "-k",
                        "thread",
                        "-w",
                        &threads,
                    ]));
                }
                while TcpStream::connect(("127.0.0.1", port)).is_err() {
                    thread::sleep(Duration::from_millis(20));
                }
                Running {
                    children,
                    port,
                    counts_files: true,
                }
            }
        }
    }
}

/// A receiver that runs until it is dropped.
pub(crate) struct Running {
    children: Vec<Child>,
    pub(crate) port: u16,
    counts_files: bool,
}

impl Running {
    /// Waits until as many events are handled.
    pub(crate) async fn has_handled(&self, events: usize, kept: &Path) {
        loop {
            let is_done = match self.counts_files {
                true => files(kept) == events,
                false => self.stats().await == format!("{events} handled"),
            };
            if is_done {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stats(&self) -> String {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let stream = tokio::net::TcpStream::connect(address).await;
        let mut stream = stream.expect("the server listens");
        let request = b"GET /stats HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.expect("the server reads");
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer).await;
        read.expect("the server answers");
        answer.rsplit("\r\n").next().unwrap_or_default().to_owned()
    }

    /// Returns the CPU time that the processes have used, from `/proc`; zero where there is none.
    pub(crate) fn cpu(&self) -> Duration {
        self.children.iter().map(cpu).sum()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Returns the number of events in a folder.
pub(crate) fn files(kept: &Path) -> usize {
    let files = fs::read_dir(kept).expect("the folder exists").flatten();
    files
        .filter(|file| file.path().extension().is_some_and(|end| end == "json"))
        .count()
}

/// Whether the worker keeps each event as a file.
pub(crate) fn keeps_files() -> bool {
    !env::var(HANDLER).is_ok_and(|handler| handler == "nothing")
}

fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).spawn().expect("it starts")
}

fn cpu(child: &Child) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |index: usize| -> u64 {
        let field = fields.get(index).and_then(|field| field.parse().ok());
        field.unwrap_or_default()
    };
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// Returns a Python with FastAPI and huey, in a virtual environment beside the build.
fn python() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("end_to_end");
    let python = folder.join("bin/python");
    let run = |program: &Path, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).status();
        status.is_ok_and(|status| status.success())
    };
    if run(
        &python,
        &["-c", "import fastapi, huey, httptools, uvloop, uvicorn"],
    ) {
        return Some(python);
    }
    let folder = folder.to_str()?;
    let is_ready = run("python3".as_ref(), &["-m", "venv", folder])
        && run(
            &python,
            &[
                "-m",
                "pip",
                "install",
                "-q",
                "fastapi",
                "huey",
                "httptools",
                "uvloop",
                "uvicorn",
            ],
        );
    if !is_ready {
        println!("FastAPI and huey are left out: python3 with venv and pip is missing");
    }
    is_ready.then_some(python)
}

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/end_to_end");
