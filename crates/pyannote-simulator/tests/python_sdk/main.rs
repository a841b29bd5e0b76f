//! The official Python SDK, as it is on PyPI, against the simulator. On CI it must run; elsewhere it is left out if there
//! is no Python to run it with.
#![cfg(unix)]

#[path = "../support/example.rs"]
mod example;

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use self::example::binary;

const SECRET: &str = "whs_00112233445566778899aabbccddeeff";
const API_KEY: &str = "sk_of_the_test";

#[test]
fn the_official_sdk_works_with_the_simulator() {
    let python = match python_with_sdk() {
        Ok(python) => python,
        Err(why) => {
            assert!(env::var_os("CI").is_none(), "no Python SDK on CI: {why}");
            println!("left out: {why}");
            return;
        }
    };
    let dir = tempfile::tempdir().unwrap();
    let (_simulator, url) = Simulator::start(dir.path());
    let check = Command::new(python)
        .arg(room().join("check.py"))
        .args([url.as_str(), API_KEY, SECRET])
        .arg(dir.path())
        .env_clear()
        .current_dir(dir.path())
        .output()
        .unwrap();
    let (said, complaint) = (
        String::from_utf8(check.stdout).unwrap(),
        String::from_utf8(check.stderr).unwrap(),
    );
    assert!(check.status.success(), "{complaint}");
    assert_eq!(said, "every step passed\n");
}

/// The Python of a virtual environment that has the pinned SDK; made if it is not there, or has another.
fn python_with_sdk() -> Result<PathBuf, String> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-sdk");
    let python = venv.join("bin/python");
    let wanted = room().join("requirements.txt");
    let wanted_text = fs::read_to_string(&wanted).unwrap();
    let installed = venv.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|text| text == wanted_text) {
        return Ok(python);
    }
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&venv))?;
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
    ];
    run(Command::new(&python).args(pip).arg(&wanted))?;
    fs::write(installed, wanted_text).unwrap();
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = [output.stdout, output.stderr].concat();
    Err(format!(
        "{command:?}: {}",
        String::from_utf8_lossy(&complaint)
    ))
}

fn room() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python_sdk")
}

/// A running simulator, killed when dropped.
struct Simulator(Child);

impl Simulator {
    fn start(dir: &Path) -> (Self, String) {
        let mut child = Command::new(binary("simulator"))
            .args([
                "serve",
                "--port",
                "0",
                "--time-scale",
                "40",
                "--api-key",
                API_KEY,
            ])
            .args(["--job-canceled", "1"])
            .env_clear()
            .env("PYANNOTEAI_WEBHOOK_SECRET", SECRET)
            .current_dir(dir)
            .stdin(Stdio::null())
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
