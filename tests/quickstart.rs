//! The quickstart, as a reader of the README runs it.
#![cfg(unix)]

use tempfile::TempDir;
use tower_pyannote_test_support::program;

#[test]
fn the_quickstart_loses_nothing_handles_nothing_twice_and_says_so_from_counts() {
    let dir = TempDir::new().unwrap();
    let env = [("TMPDIR", dir.path().to_str().unwrap())];
    let mut quickstart = program::command("quickstart", dir.path(), &[], &env);
    let output = quickstart.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    assert_eq!(stderr, "");
    for line in [
        "  ok    jobs submitted: 5, to be 5",
        "  ok    of which the first delivery was lost, and a retry came: 1, to be 1",
        "  ok    of which all deliveries were lost: 1, to be 1",
        "  ok    events handled as webhooks came: 4, to be 4",
        "  ok    events fetched by the reconciler: 1, to be 1",
        "  ok    events handled: 5, to be 5",
        "  ok    events handled twice: 0, to be 0",
        "Nothing is lost, and nothing was handled twice.",
    ] {
        assert!(stdout.lines().any(|said| said == line), "{line}: {stdout}");
    }
    assert!(stdout.contains("SPEAKER_00"), "{stdout}");
    assert!(stdout.contains('█'), "{stdout}");
    assert!(!stdout.contains("WRONG"), "{stdout}");
}
