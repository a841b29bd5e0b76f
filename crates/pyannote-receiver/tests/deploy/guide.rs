//! The shell in `docs/deploying.md`, run as it stands there, except for the ports.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;
use tower_pyannote_test_support::{process::dir, program::binary, s3::S3};

use crate::program::{file, find, free_port, heavy, printed};

#[test]
fn trial_on_one_machine_runs_line_by_line() {
    let _heavy = heavy();
    let Some((_, printed)) = run_section("Try it on one machine", &["caddy", "curl"], &[]) else {
        return;
    };
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[..2], ["200 OK", "200 OK"], "{printed}");
    assert!(lines[2].ends_with("_trial-1_succeeded.json"), "{printed}");
    let events = lines.iter().filter(|line| line.contains("  trial-1"));
    assert_eq!(events.count(), 1, "{printed}");
}

#[test]
fn rehearsal_handles_and_keeps_each_of_500_jobs_once_across_a_restart() {
    let _heavy = heavy();
    let programs = ["caddy", "curl", "pgbouncer", "initdb"];
    let Some(s3) = S3::start(env!("CARGO_TARGET_TMPDIR")) else {
        return;
    };
    let section = run_section("Rehearse it with faults", &programs, &s3.env());
    let Some((dir, printed)) = section else {
        return;
    };
    assert_eq!(printed.lines().count(), 1, "{printed}");

    let objects = s3.objects().into_iter();
    let kept: Vec<_> = objects
        .filter(|(key, _)| key.starts_with("rehearsal/") && key.ends_with(".json"))
        .map(|(_, body)| job(&serde_json::from_slice(&body).unwrap(), "jobId"))
        .collect();
    assert_eq!(kept.len(), 500);
    let kept = BTreeSet::from_iter(kept);
    assert_eq!(kept.len(), 500);
    // Both processes write to one log.
    let log = fs::read_to_string(dir.path().join("rehearsal/log")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let handled: Vec<_> = lines
        .filter(|line: &Value| line["message"] == "event handled")
        .map(|line| job(&line, "job_id"))
        .collect();
    assert_eq!(handled.len(), 500);
    assert_eq!(BTreeSet::from_iter(handled), kept);
    let dead = log
        .lines()
        .filter(|line| line.contains(r#""level":"ERROR""#));
    assert_eq!(dead.collect::<Vec<_>>(), [""; 0]);
}

fn job(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap().to_owned()
}

/// Runs the shell of a section, with `programs` installed and with `env`, in a directory of its own. Returns that directory and what the
/// shell printed.
fn run_section(
    heading: &str,
    programs: &[&str],
    env: &[(&str, String)],
) -> Option<(TempDir, String)> {
    let bash = find("bash")?;
    for program in programs {
        find(program)?;
    }
    let guide = fs::read_to_string(file("../docs/deploying.md")).unwrap();
    let (_, section) = guide.split_once(&format!("\n## {heading}\n")).unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    let (shell, _) = block.split_once("\n```\n").unwrap();
    let mut shell = shell.to_owned();
    let receiver = free_port().to_string();
    shell = shell.replace("8000", &receiver);
    for port in ["8443", "8100", "5433", "6432"] {
        shell = shell.replace(port, &free_port().to_string());
    }

    let dir = dir();
    install(dir.path());
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", dir.path().join("bin").display());
    // A line that fails ends the shell, which then ends what it has started.
    let script =
        format!("set -euo pipefail\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n{shell}\n");
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=10", "300"])
        .arg(bash)
        .args(["-c", &script])
        .env_clear()
        .envs(env.iter().map(|(name, value)| (name, value)))
        .env("PATH", path)
        .env("HOME", dir.path())
        .env("CADDY_ADMIN", format!("localhost:{}", free_port()))
        .env("RECEIVER", format!("127.0.0.1:{receiver}"))
        .env(
            "WEBHOOK_SERVER_PRIVATE_LISTEN",
            format!("127.0.0.1:{}", free_port()),
        )
        .current_dir(dir.path());
    if fs::metadata(dir.path()).unwrap().uid() == 0 {
        // PostgreSQL and PgBouncer refuse to run as root.
        chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
    let printed = printed(&command.output().unwrap());
    Some((dir, printed))
}

/// Copies what the shell needs to a place that another user can read.
fn install(dir: &Path) {
    for folder in ["bin", "deploy", "deploy/caddy"] {
        fs::create_dir(dir.join(folder)).unwrap();
    }
    let caddyfile = "caddy/Caddyfile";
    fs::copy(file(caddyfile), dir.join("deploy").join(caddyfile)).unwrap();
    for program in ["pyannote-receiver", "pyannote-simulator"] {
        fs::copy(binary(program), dir.join("bin").join(program)).unwrap();
    }
}

const NOBODY: u32 = 65_534;
