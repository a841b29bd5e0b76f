//! `pyannote-receiver inbox export` and `import`, run as processes.

use std::{fs, path::Path};

use serde_json::Value;
use tower_pyannote::{
    WebhookEvent,
    event::{Delivery, JobMetadata, Retry, RetryReason, Source, Text},
};
use tower_pyannote_inbox::{ImportedState, Inbox, InboxState};
use tower_pyannote_test_support::{
    bodies,
    http::{Post, SECRET},
    postgres::Postgres,
    process::{Ended, SECRET_NAME, Server, dir, run},
};

const FROM: &str = "sqlite://from.sqlite";

fn inbox(dir: &Path, database: &str, command: &[&str]) -> Ended {
    let flags = [&["inbox"], command, &["--database-url", database]].concat();
    run(dir, &flags, &[])
}

/// Returns the events of an inbox, the first received last, without what differs between inboxes.
fn list(dir: &Path, database: &str) -> Vec<Value> {
    let ended = inbox(dir, database, &["list", "--json"]);
    let mut list: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
    for event in &mut list {
        event.as_object_mut().unwrap().remove("id");
    }
    list
}

/// Makes an inbox with a handled, a dead and a waiting event.
fn fill(dir: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let inbox = Inbox::sqlite(dir.join("from.sqlite")).await.unwrap();
        let at = |second| std::time::UNIX_EPOCH + std::time::Duration::new(second, 123_456_789);
        for (job, second, state) in [
            ("job-a", 1_790_000_000, InboxState::Handled),
            ("job-\u{1}é", 1_790_000_001, InboxState::Dead),
            ("job-c", 1_790_000_002, InboxState::Waiting),
        ] {
            let body = serde_json::json!({ "jobId": job, "status": "succeeded", "output": {"text": "é\n\u{1}"} });
            let delivery = Delivery::at(at(second))
                .with_timestamp(second)
                .with_retry(Some(Retry::new(2, Some(RetryReason::HttpTimeout))))
                .with_source(match state {
                    InboxState::Dead => Source::Api,
                    _ => Source::Webhook,
                })
                .with_reference(Some(Text::from("meeting-42")))
                .with_metadata(Some(JobMetadata::from_json("{\"room\":7}").unwrap()));
            let event = WebhookEvent::new(body.to_string().into(), delivery).unwrap();
            let state = ImportedState::new(state)
                .with_attempts(3)
                .with_finished_at(Some(at(second + 60)))
                .with_last_error(Some("archive: full".to_owned()));
            inbox.import(&event, &state).await.unwrap();
        }
    });
}

#[test]
fn events_move_to_another_database_in_their_states() {
    let dir = dir();
    let dir = dir.path();
    fill(dir);
    let ended = inbox(dir, FROM, &["export", "events.jsonl"]);
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(0), "3 exported\n"),
        "{}",
        ended.stderr
    );
    let exported = fs::read_to_string(dir.join("events.jsonl")).unwrap();
    assert_eq!(exported.lines().count(), 3);

    let postgres = Postgres::start();
    let urls = postgres.as_ref().map(|postgres| postgres.url("postgres"));
    for database in ["sqlite://to.sqlite"].into_iter().chain(urls.as_deref()) {
        assert_eq!(inbox(dir, database, &["migrate"]).code, Some(0));
        let import = || inbox(dir, database, &["import", "events.jsonl"]);
        let ended = import();
        let all = "3 imported, 0 were there before\n";
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(0), all),
            "{}",
            ended.stderr
        );
        let (was, is) = (list(dir, FROM), list(dir, database));
        assert_eq!(is, was);
        assert_eq!(is.len(), 3);
        assert_eq!(is[0]["state"], "waiting");
        assert_eq!(is[1]["state"], "dead");
        assert_eq!(is[2]["state"], "handled");
        assert_eq!(is[2]["finished_at"], "2026-09-21T14:14:20Z");
        assert_eq!(import().stdout, "0 imported, 3 were there before\n");

        // An export of the copy is the same, except for its places: bodies, dates, retries and references, too.
        let copy = format!("copy-{}.jsonl", database.len());
        assert_eq!(inbox(dir, database, &["export", &copy]).code, Some(0));
        let lines = |text: &str| -> Vec<Value> {
            let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
            let without_place = lines.map(|mut line: Value| {
                line.as_object_mut().unwrap().remove("cursor");
                line
            });
            without_place.collect()
        };
        let copied = lines(&fs::read_to_string(dir.join(copy)).unwrap());
        assert_eq!(copied, lines(&exported));
        assert_eq!(copied[0]["reference"], "meeting-42");
        assert_eq!(copied[0]["metadata"], "{\"room\":7}");
        assert_eq!(copied[1]["source"], "api");
    }
}

#[test]
fn export_continues_where_it_stopped() {
    let dir = dir();
    let dir = dir.path();
    fill(dir);
    let export = |file| inbox(dir, FROM, &["export", file]);
    assert_eq!(export("whole.jsonl").stdout, "3 exported\n");
    let whole = fs::read(dir.join("whole.jsonl")).unwrap();
    let second = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for (length, left) in [
        (0, 3),
        (10, 3),
        (second, 2),
        (second + 10, 2),
        (whole.len() - 1, 1),
        (whole.len(), 0),
    ] {
        fs::write(dir.join("part.jsonl"), &whole[..length]).unwrap();
        // A file without a complete line cannot be told from a file of something else.
        if length == 10 {
            let ended = export("part.jsonl");
            assert_eq!(ended.code, Some(1));
            assert!(
                ended.stderr.contains("choose another file"),
                "{}",
                ended.stderr
            );
            continue;
        }
        assert_eq!(
            export("part.jsonl").stdout,
            format!("{left} exported\n"),
            "{length}"
        );
        assert_eq!(fs::read(dir.join("part.jsonl")).unwrap(), whole, "{length}");
    }
}

#[test]
fn export_cuts_nothing_after_a_line_that_it_cannot_read() {
    let dir = dir();
    let dir = dir.path();
    fill(dir);
    inbox(dir, FROM, &["export", "events.jsonl"]);
    let text = fs::read_to_string(dir.join("events.jsonl")).unwrap();
    let (first, rest) = text.split_at(text.find('\n').unwrap() + 1);
    let damaged = format!("{first}{}", rest.replacen('{', "[", 1));
    fs::write(dir.join("damaged.jsonl"), &damaged).unwrap();
    let ended = inbox(dir, FROM, &["export", "damaged.jsonl"]);
    assert_eq!(ended.code, Some(1));
    let error =
        "damaged.jsonl: cannot be written: line 2 is not an exported event; choose another file";
    assert!(ended.stderr.contains(error), "{}", ended.stderr);
    assert_eq!(
        fs::read_to_string(dir.join("damaged.jsonl")).unwrap(),
        damaged
    );
}

#[test]
fn imported_event_that_was_handled_is_a_duplicate() {
    let server = Server::start();
    let post = Post::new(bodies::status_only("a"));
    assert_eq!(post.send(server.address).status, 200);
    server.settle();
    let export = ["inbox", "export", "events.jsonl", "--data-dir", "data"];
    assert_eq!(run(server.dir.path(), &export, &[]).code, Some(0));
    let lines = fs::read(server.dir.path().join("events.jsonl")).unwrap();

    let other = dir();
    fs::write(other.path().join("events.jsonl"), lines).unwrap();
    for command in [&["migrate"][..], &["import", "events.jsonl"]] {
        let flags = [&["inbox"], command, &["--data-dir", "data"]].concat();
        assert_eq!(run(other.path(), &flags, &[]).code, Some(0));
    }
    let other = Server::start_in(other, &[], &[(SECRET_NAME, SECRET)]);
    assert_eq!(post.send(other.address).status, 200);
    assert!(other.kept().is_empty());
    assert_eq!(other.inbox()["handled"], 1);
}

#[test]
fn damaged_line_is_named() {
    let dir = dir();
    let dir = dir.path();
    fill(dir);
    inbox(dir, FROM, &["export", "events.jsonl"]);
    let text = fs::read_to_string(dir.join("events.jsonl")).unwrap();
    for (from, to) in [
        ("\"state\"", "\"stat\""),
        ("jobId", "jobIt"),
        ("2026-", "never-"),
    ] {
        let (first, rest) = text.split_at(text.find('\n').unwrap() + 1);
        let damaged = format!("{first}{}", rest.replacen(from, to, 1));
        fs::write(dir.join("damaged.jsonl"), damaged).unwrap();
        let ended = inbox(dir, FROM, &["import", "damaged.jsonl"]);
        assert_eq!(ended.code, Some(1), "{to}");
        let line = "error: damaged.jsonl line 2: ";
        assert!(ended.stderr.contains(line), "{to}: {}", ended.stderr);
    }
}
