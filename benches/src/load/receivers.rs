use std::env;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use bytes::Bytes;
use http::HeaderMap;
use tower_pyannote::{PyannoteSignatureLayer, WebhookEvent, WebhookSecret, event::Delivery};
use tower_pyannote_benches::limit::BareHmac;
use tower_pyannote_benches::{SECRET, then};

/// A receiver under load.
pub(crate) struct Receiver {
    pub(crate) name: &'static str,
    command: Box<dyn Fn(u16) -> Command>,
}

impl Receiver {
    /// Returns all receivers that can be started: the examples if they were built, FastAPI if `BENCH_PYTHON` is a Python that has it.
    pub(crate) fn all() -> Vec<Self> {
        let own = |kind: &'static str| Self {
            name: kind,
            command: Box::new(move |port| {
                let mut command = pinned(env::current_exe().expect("it is there"));
                command.args(["serve", kind, &port.to_string()]);
                command
            }),
        };
        let mut receivers = vec![own("bare"), own("by-hand"), own("layer")];
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let examples = root.join("target/release/examples");
        let minimal = examples.join("minimal");
        if minimal.exists() {
            receivers.push(Self {
                name: "minimal",
                command: Box::new(move |port| {
                    let mut command = pinned(minimal.clone());
                    command.env("PORT", port.to_string());
                    command
                }),
            });
        }
        let server = examples.join("server");
        if server.exists() {
            receivers.push(Self {
                name: "server",
                command: Box::new(move |port| {
                    let directory = env::temp_dir().join(format!("tower-pyannote-load-{port}"));
                    let mut command = pinned(server.clone());
                    command
                        .env("RUST_LOG", "warn")
                        .arg("--data-dir")
                        .arg(directory);
                    command.args(["--port", &port.to_string()]);
                    command
                }),
            });
        }
        if let Ok(python) = env::var("BENCH_PYTHON") {
            receivers.push(Self {
                name: "fastapi",
                command: Box::new(move |port| {
                    let mut command = pinned(PathBuf::from(&python));
                    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("receivers"));
                    command.args(["-m", "uvicorn", "fastapi_app:app", "--no-access-log"]);
                    command.args(["--loop", "uvloop", "--http", "httptools"]);
                    command.args(["--log-level", "critical", "--port", &port.to_string()]);
                    command
                }),
            });
        }
        receivers
    }

    /// Starts the receiver on a free port.
    pub(crate) fn start(&self) -> Running {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = free.local_addr().expect("it has one").port();
        drop(free);
        let mut command = (self.command)(port);
        command
            .env("PYANNOTEAI_WEBHOOK_SECRET", SECRET)
            .stdout(Stdio::null());
        let child = command.spawn().expect("it can be started");
        let running = Running { child, port };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "{} listens",
                self.name
            );
            thread::sleep(Duration::from_millis(20));
        }
        running
    }
}

/// A running receiver. It stops when it is dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) port: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let directory = env::temp_dir().join(format!("tower-pyannote-load-{}", self.port));
        let _ = std::fs::remove_dir_all(directory);
    }
}

/// Runs a program on the first core. The load comes from the second core.
fn pinned(program: PathBuf) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command
}

/// A server that reads bodies, and either ignores or verifies them.
pub(crate) fn serve(kind: &str, port: u16) {
    let webhook = Router::new();
    let app: Router = match kind {
        "bare" => webhook
            .route("/webhook", post(async |body: Bytes| body.len().to_string()))
            .layer(DefaultBodyLimit::disable()),
        // The least work of a handwritten handler, which checks and bounds nothing else.
        "by-hand" => {
            let bare = BareHmac::new();
            let handler = async move |headers: HeaderMap, body: Bytes| {
                let timestamp = headers["x-request-timestamp"].as_bytes();
                std::hint::black_box(bare.digest(timestamp, &body));
                let event =
                    WebhookEvent::new(body, Delivery::at(then())).expect("the body is an event");
                event.job_id().to_owned()
            };
            webhook
                .route("/webhook", post(handler))
                .layer(DefaultBodyLimit::disable())
        }
        "layer" => {
            let secret = WebhookSecret::new(SECRET).expect("the secret is valid");
            webhook
                .route(
                    "/webhook",
                    post(async |event: WebhookEvent| event.job_id().to_owned()),
                )
                .layer(PyannoteSignatureLayer::new(secret))
        }
        _ => panic!("nobody is called {kind}"),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.expect("threads can be started").block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await;
        axum::serve(listener.expect("the port is free"), app)
            .await
            .expect("it serves");
    });
}
