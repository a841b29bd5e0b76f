use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

/// An example to be run in a directory, with nothing but `env` in its environment.
#[allow(dead_code, reason = "each test uses its part")]
pub(crate) fn command(
    example: &'static str,
    dir: &Path,
    arguments: &[&str],
    env: &[(&str, &str)],
) -> Command {
    let mut command = Command::new(binary(example));
    command
        .args(arguments)
        .env_clear()
        .envs(env.iter().copied())
        .current_dir(dir)
        .stdin(Stdio::null());
    command
}

/// An example's program, built if it is not. `cargo test` builds it with all examples, but `cargo test --test name` does
/// not, and would test what an earlier build left.
pub(crate) fn binary(example: &'static str) -> PathBuf {
    static BINARIES: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());

    let mut binaries = BINARIES.lock().unwrap_or_else(PoisonError::into_inner);
    binaries
        .entry(example)
        .or_insert_with(|| build(example))
        .clone()
}

fn build(example: &str) -> PathBuf {
    let profile = if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    };
    let mut cargo = Command::new(env!("CARGO"));
    // Of the test, and build scripts that look at them (ring's) would run again each time.
    for (name, _) in env::vars() {
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    let built = cargo
        .args(["build", "--all-features", "--example", example, "--quiet"])
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
        .filter(|message: &serde_json::Value| message["target"]["name"] == example)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo names what it built")
}
