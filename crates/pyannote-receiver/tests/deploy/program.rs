//! Programs of the system, and the files in `deploy/`.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Returns a file in `deploy/`.
pub(crate) fn file(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap().join("deploy").join(name)
}

/// Returns the text of a file in `deploy/`.
pub(crate) fn text(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap()
}

/// Replaces a text that must occur once.
pub(crate) fn replace(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from} in {text}");
    text.replace(from, to)
}

/// Returns a program's path. Where it is not installed, panics in CI, and returns `None` elsewhere.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let postgres = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let postgres = postgres.map(|version| version.unwrap().path().join("bin"));
    let found = env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/bin".into()])
        .chain(postgres)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        assert!(
            env::var_os("CI").is_none(),
            "{name} is not installed, which CI requires"
        );
        println!("skipped: {name} is not installed");
    }
    found
}

/// Runs a program to its end.
pub(crate) fn run(program: &Path, arguments: &[&str], dir: &Path) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(dir);
    command.stdin(Stdio::null()).output().unwrap()
}

/// Asserts that a program ended with 0, and returns what it printed.
pub(crate) fn printed(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    text + &errors
}

/// Returns a port that nothing listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Lets one test at a time load the machine. Otherwise, one makes the timeouts of another expire.
pub(crate) fn heavy() -> MutexGuard<'static, ()> {
    static HEAVY: Mutex<()> = Mutex::new(());
    HEAVY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program in the background. It is killed when it is dropped.
pub(crate) struct Background(Child);

impl Background {
    /// Starts a program that logs to a file.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Self {
        let log = fs::File::create(log).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.stderr(log).spawn().unwrap())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
