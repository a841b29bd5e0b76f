//! A NATS server with JetStream.

use std::{
    env,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::process::wait_until;

/// A running server and its files, which are deleted when it is dropped.
pub struct Nats {
    child: Child,
    port: u16,
    dir: TempDir,
    settings: String,
}

impl Nats {
    /// Starts a server. `settings` are further lines of its configuration.
    ///
    /// Returns `None` if `nats-server` is not installed.
    ///
    /// # Panics
    ///
    /// Panics if `nats-server` is not installed and the environment variable `CI` is set.
    pub fn start(settings: &str) -> Option<Self> {
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
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts a killed server again, on the same port and files.
    pub fn restart(&mut self) {
        self.child = spawn(&self.dir, self.port, &self.settings);
    }

    /// Returns the URL of the server, without a user.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

impl Drop for Nats {
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
