//! A consumer as a process that appends a line for each event to a file.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

pub(crate) struct Consumer {
    name: &'static str,
    log: PathBuf,
    port: u16,
    command: Command,
    child: Option<Child>,
}

impl Consumer {
    /// Returns an ASGI program, not yet started.
    pub(crate) fn uvicorn(
        python: &Path,
        dir: &Path,
        name: &'static str,
        code: &str,
        env: (&str, &str),
    ) -> Self {
        fs::write(dir.join(format!("consumer_{name}.py")), code).unwrap();
        let port = free_port();
        let mut command = Command::new(python);
        command
            .args(["-m", "uvicorn", "--log-level", "warning", "--port"])
            .args([port.to_string(), format!("consumer_{name}:app")])
            .current_dir(dir)
            .env(env.0, env.1);
        Self::new(name, dir, port, command)
    }

    /// Returns a program of Node beside its modules, not yet started.
    pub(crate) fn node(
        node: &Path,
        dir: &Path,
        modules: &Path,
        code: &str,
        env: (&str, &str),
    ) -> Self {
        let program = modules.join("consumer.mjs");
        fs::write(&program, code).unwrap();
        let port = free_port();
        let mut command = Command::new(node);
        command
            .arg(program)
            .env("PORT", port.to_string())
            .env(env.0, env.1);
        Self::new("node", dir, port, command)
    }

    /// Returns a program that listens on the port in the variable `PORT`. Does not start it.
    pub(crate) fn program(
        name: &'static str,
        dir: &Path,
        program: &Path,
        env: (&str, &str),
    ) -> Self {
        let port = free_port();
        let mut command = Command::new(program);
        command.env("PORT", port.to_string()).env(env.0, env.1);
        Self::new(name, dir, port, command)
    }

    fn new(name: &'static str, dir: &Path, port: u16, command: Command) -> Self {
        let log = dir.join(format!("{name}.log"));
        Self {
            name,
            log,
            port,
            command,
            child: None,
        }
    }

    pub(crate) fn start(&mut self) {
        let log = File::options().append(true).create(true).open(&self.log);
        let child = self.command.stdout(log.unwrap()).spawn().unwrap();
        self.child = Some(child);
    }

    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/events", self.port)
    }

    /// Returns the lines that it has printed.
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.log).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until the consumer has printed `lines` lines.
    pub(crate) async fn wait_for(&self, lines: usize) {
        while self.lines().len() < lines {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
