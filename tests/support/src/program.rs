//! Builds and runs the programs of the workspace.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

/// Returns a command that runs a program in a directory, with nothing but `env` in its environment.
pub fn command(
    program: &'static str,
    dir: &Path,
    arguments: &[&str],
    env: &[(&str, &str)],
) -> Command {
    let mut command = Command::new(binary(program));
    command
        .args(arguments)
        .env_clear()
        .envs(env.iter().copied())
        .current_dir(dir)
        .stdin(Stdio::null());
    command
}

/// Returns the path of a program: the binary of a member, or an example of the root package.
///
/// Cargo names the binary of the package under test. Any other program is built first.
pub fn binary(program: &'static str) -> PathBuf {
    static BINARIES: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());

    if let Some(binary) = env::var_os(format!("CARGO_BIN_EXE_{program}")) {
        return binary.into();
    }
    let mut binaries = BINARIES.lock().unwrap_or_else(PoisonError::into_inner);
    binaries
        .entry(program)
        .or_insert_with(|| build(program))
        .clone()
}

fn build(program: &str) -> PathBuf {
    let target = if program.starts_with("pyannote-") {
        ["--package", program, "--bin", program]
    } else {
        ["--package", "tower-pyannote", "--example", program]
    };
    let profile = if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    };
    let mut cargo = Command::new(env!("CARGO"));
    // Cargo sets these for the test. Build scripts that read them, such as ring's, would run again.
    for (name, _) in env::vars() {
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    let built = cargo
        .args(["build", "--all-features", "--quiet"])
        .args(target)
        .args(["--profile", profile, "--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(built.status.success());
    let messages = String::from_utf8(built.stdout).unwrap();
    let messages = messages
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    messages
        .filter(|message: &serde_json::Value| message["target"]["name"] == program)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo names what it built")
}
