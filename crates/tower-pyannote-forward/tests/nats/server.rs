//! A NATS server with JetStream.

use std::{
    env,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;
use tower_pyannote_forward::async_nats::{
    self,
    jetstream::{self, Context, stream::Stream},
};
use tower_pyannote_test_support::process::wait_until;

/// A running server and its files, which are deleted when it is dropped.
pub(crate) struct Server {
    child: Child,
    port: u16,
    dir: TempDir,
    settings: String,
}

impl Server {
    /// Starts a server with more lines in its configuration. Where `nats-server` is not installed, fails in CI and returns
    /// `None` elsewhere.
    pub(crate) fn start(settings: &str) -> Option<Self> {
        let version = Command::new("nats-server").arg("--version").output();
        if let Err(error) = version {
            assert!(env::var_os("CI").is_none(), "CI needs nats-server: {error}");
            println!("skipped: nats-server: {error}");
            return None;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let dir = TempDir::new().unwrap();
        let child = spawn(&dir, port, settings);
        let settings = settings.to_owned();
        Some(Self {
            child,
            port,
            dir,
            settings,
        })
    }

    /// Kills the server with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts a killed server again, on the same port and files.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(&self.dir, self.port, &self.settings);
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) async fn context(&self) -> Context {
        jetstream::new(async_nats::connect(self.url()).await.unwrap())
    }

    pub(crate) async fn stream(&self) -> Stream {
        self.context().await.get_stream(STREAM).await.unwrap()
    }

    /// Returns the number of messages in the stream.
    pub(crate) async fn count(&self) -> u64 {
        self.stream().await.cached_info().state.messages
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(dir: &TempDir, port: u16, settings: &str) -> Child {
    let config = dir.path().join("nats.conf");
    let store = dir.path().join("store");
    let text = format!(
        "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\" }}\n{settings}\n",
        store.display()
    );
    std::fs::write(&config, text).unwrap();
    let child = Command::new("nats-server")
        .arg("-c")
        .arg(config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the NATS server", || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    child
}

pub(crate) const STREAM: &str = "PYANNOTE";
pub(crate) const BUCKET: &str = "PYANNOTE-bodies";
