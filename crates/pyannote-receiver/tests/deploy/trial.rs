//! The shell in `docs/deploying.md`, run as it stands there, except for the ports.

use std::{
    env, fs,
    os::unix::{fs::symlink, process::CommandExt},
    process::Command,
};

use tower_pyannote_test_support::{process::dir, program::binary};

use crate::program::{file, find, free_port, printed};

#[test]
fn shell_of_the_guide_runs_line_by_line() {
    let (Some(bash), Some(_), Some(_)) = (find("bash"), find("caddy"), find("curl")) else {
        return;
    };
    let guide = fs::read_to_string(file("../docs/deploying.md")).unwrap();
    let (_, section) = guide.split_once("\n## Try it on one machine\n").unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    let (shell, _) = block.split_once("\n```\n").unwrap();
    let shell = shell
        .replace("8000", &free_port().to_string())
        .replace("8443", &free_port().to_string());

    let dir = dir();
    symlink(file(""), dir.path().join("deploy")).unwrap();
    let receiver = binary("pyannote-receiver");
    let path = env::join_paths(
        [receiver.parent().unwrap().to_owned()]
            .into_iter()
            .chain(env::split_paths(&env::var_os("PATH").unwrap())),
    );
    let receiver_port = shell.split("--port ").nth(1).unwrap();
    let receiver_port = receiver_port.split(' ').next().unwrap();
    // A line that fails ends the shell, which then ends what it has started.
    let script =
        format!("set -euo pipefail\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n{shell}\n");
    let mut command = Command::new(bash);
    command
        .args(["-c", &script])
        .env_clear()
        .env("PATH", path.unwrap())
        .env("HOME", dir.path())
        .env("CADDY_ADMIN", format!("localhost:{}", free_port()))
        .env("RECEIVER", format!("127.0.0.1:{receiver_port}"))
        .current_dir(dir.path())
        .process_group(0);
    let printed = printed(&command.output().unwrap());
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[..2], ["200 OK", "200 OK"], "{printed}");
    assert!(lines[2].ends_with("_trial-1_succeeded.json"), "{printed}");
    let events = lines.iter().filter(|line| line.contains("  trial-1"));
    assert_eq!(events.count(), 1, "{printed}");
}
