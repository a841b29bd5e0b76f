//! The official Python SDK, as it is on PyPI, against the simulator. Where Python is missing, the test is skipped, except
//! in CI.
#![cfg(unix)]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tower_pyannote_test_support::{language, program};

const SECRET: &str = "whs_00112233445566778899aabbccddeeff";
const API_KEY: &str = "sk_of_the_test";

#[test]
fn official_sdk_works_with_the_simulator() {
    let dir = tempfile::tempdir().unwrap();
    let settings = ["--time-scale", "40", "--job-canceled", "1"];
    check(
        dir.path(),
        "check.py",
        &settings,
        &[SECRET, path(dir.path())],
    );
}

#[test]
fn official_sdk_meets_a_rate_limit_of_each_endpoint() {
    limits("per-endpoint");
}

#[test]
fn official_sdk_meets_one_rate_limit_of_all_endpoints() {
    limits("shared");
}

fn limits(style: &str) {
    let dir = tempfile::tempdir().unwrap();
    // A minute takes 6 s.
    let settings = [
        "--time-scale",
        "10",
        "--rate-limit",
        "3",
        "--rate-limit-style",
        style,
    ];
    check(dir.path(), "limits.py", &settings, &[style]);
}

/// Runs a script against a simulator with further settings.
fn check(dir: &Path, script: &str, settings: &[&str], arguments: &[&str]) {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-sdk");
    let Some(python) = language::python(&venv, &here().join("requirements.txt")) else {
        return;
    };
    let (_simulator, url) = Simulator::start(dir, settings);
    let check = Command::new(python)
        .arg(here().join(script))
        .args([url.as_str(), API_KEY])
        .args(arguments)
        .env_clear()
        .current_dir(dir)
        .output()
        .unwrap();
    let (stdout, stderr) = (
        String::from_utf8(check.stdout).unwrap(),
        String::from_utf8(check.stderr).unwrap(),
    );
    assert!(check.status.success(), "{stderr}");
    assert_eq!(stdout, "every step passed\n");
}

fn path(dir: &Path) -> &str {
    dir.to_str().unwrap()
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python_sdk")
}

/// A running simulator, which is killed when it is dropped.
struct Simulator(Child);

impl Simulator {
    fn start(dir: &Path, settings: &[&str]) -> (Self, String) {
        let mut arguments = vec!["serve", "--port", "0", "--api-key", API_KEY];
        arguments.extend(settings);
        let env = [("PYANNOTEAI_WEBHOOK_SECRET", SECRET)];
        let mut child = program::command("pyannote-simulator", dir, &arguments, &env)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line.trim_end().strip_prefix("listening on ");
        let url = url.expect("the simulator listens").to_owned();
        (Self(child), url)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
