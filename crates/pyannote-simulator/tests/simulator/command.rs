//! The command line.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use tower_pyannote_test_support::program;

use crate::simulated::{PATIENCE, SECRET};

pub(crate) const SECRET_NAME: &str = "PYANNOTEAI_WEBHOOK_SECRET";

/// Returns a command that runs the program with nothing but `env` in its environment.
pub(crate) fn command(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Command {
    program::command("pyannote-simulator", dir, args, env)
}

/// Runs the program, which is expected to end by itself.
fn run(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Output {
    let child = command(dir, args, env)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    wait(&mut child);
    child.wait_with_output().unwrap()
}

fn wait(child: &mut Child) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("the program does not end");
        }
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn serve_runs_until_a_signal() {
    let dir = tempfile::tempdir().unwrap();
    // The secret is in the file only. The first of the two signs.
    fs::write(
        dir.path().join(".env"),
        format!("{SECRET_NAME}={SECRET},whs_old\n"),
    )
    .unwrap();
    for signal in ["TERM", "INT"] {
        let mut child = command(dir.path(), &["serve", "--port", "0", "--lost", "5%"], &[])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let address = line
            .trim_end()
            .strip_prefix("listening on http://")
            .unwrap();
        assert!(std::net::TcpStream::connect(address).is_ok());
        let kill = format!("kill -{signal} {}", child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(wait(&mut child), Some(0), "{signal}");
    }
}

#[test]
fn invalid_setting_is_named_in_a_one_line_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    let dir = tempfile::tempdir().unwrap();
    let secret = &[(SECRET_NAME, SECRET)][..];
    let url = ["--url", "http://127.0.0.1:9/"];
    for (args, env, code, named) in [
        (&["serve"][..], &[][..], 2, SECRET_NAME),
        (&["serve"], &[(SECRET_NAME, " ")], 2, SECRET_NAME),
        (&["trigger", "failed", url[0], url[1]], &[], 2, SECRET_NAME),
        (&[], secret, 2, "subcommand"),
        (&["server"], secret, 2, "server"),
        (&["serve", "--port", "http"], secret, 2, "--port"),
        (&["serve", "--port", &taken], secret, 1, "--port"),
        (&["serve", "--host", "192.0.2.1"], secret, 1, "--host"),
        (&["serve", "--time-scale", "0"], secret, 1, "--time-scale"),
        (&["serve", "--duration", "86401"], secret, 1, "--duration"),
        (&["serve", "--rate-limit", "0"], secret, 2, "--rate-limit"),
        (
            &["serve", "--rate-limit-style", "sliding"],
            secret,
            2,
            "--rate-limit-style",
        ),
        (&["serve", "--lost", "110%"], secret, 2, "--lost"),
        (&["serve", "--bodies", "none"], secret, 1, "--bodies none"),
        (
            &["serve", "--data-dir", "/proc/data"],
            secret,
            1,
            "--data-dir",
        ),
        (
            &["serve", "--sign-encoding", "octal"],
            secret,
            2,
            "--sign-encoding",
        ),
        (&["trigger", "failed"], secret, 2, "--url"),
        (&["trigger", "mood", url[0], url[1]], secret, 2, "mood"),
        (
            &["trigger", "failed", "--url", "ftp://a/"],
            secret,
            2,
            "--url",
        ),
        (
            &["trigger", "failed", url[0], url[1], "--count", "0"],
            secret,
            2,
            "--count",
        ),
        (
            &["trigger", "failed", url[0], url[1], "--rate", "0"],
            secret,
            2,
            "--rate",
        ),
        (
            &["trigger", "failed", url[0], url[1], "--duration", "86401"],
            secret,
            2,
            "--duration",
        ),
    ] {
        let ended = run(dir.path(), args, env);
        let stderr = String::from_utf8(ended.stderr).unwrap();
        let lines: Vec<_> = stderr
            .lines()
            .filter(|line| line.starts_with("error: "))
            .collect();
        assert_eq!(
            (ended.status.code(), lines.len()),
            (Some(code), 1),
            "{args:?}: {stderr}"
        );
        assert!(ended.stdout.is_empty(), "{args:?}");
        assert!(lines[0].contains(named), "{args:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
        assert!(
            !stderr.contains("whs_") && !stderr.contains("panicked"),
            "{stderr}"
        );
    }
}

#[test]
fn help_names_every_setting_and_shows_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let env = [
        (SECRET_NAME, SECRET),
        ("PYANNOTEAI_SIMULATOR_API_KEY", "key-of-someone"),
    ];
    for (command, settings) in [
        (
            "serve",
            "--host --port --time-scale --data-dir --api-key --rate-limit --rate-limit-style per-endpoint shared --seed --duration --job-time --bodies \
             --sign-encoding --version-prefix --sign-once --answer-timeout --late-by --lost --lost-first --doubled --late \
             --reordered --tampered --wrongly-signed --slow-loris --cut --job-fails --job-canceled --api-429 --api-5xx \
             --api-stalls",
        ),
        (
            "trigger",
            "--url --count --rate --concurrency --seed --duration --full --answer-timeout --sign-encoding diarization \
             identification voiceprint status-only failed failed-with-error canceled unknown",
        ),
    ] {
        let help = run(dir.path(), &[command, "--help"], &env);
        assert_eq!(help.status.code(), Some(0));
        let help = String::from_utf8(help.stdout).unwrap();
        for setting in settings.split_whitespace() {
            assert!(help.contains(setting), "{setting}");
        }
        assert!(
            !help.contains(SECRET) && !help.contains("key-of-someone"),
            "{help}"
        );
    }
}
