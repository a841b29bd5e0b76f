//! `pyannote-receiver inbox`, run as a process.

use std::{future::pending, path::Path, time::SystemTime};

use pyannote_simulator::{Config, Fault, Faults, Odds, Simulator};
use pyannoteai_client::{Client, DiarizeRequest};
use serde_json::{Value, json};
use tower_pyannote::{HandlerError, HandlerRegistry, WebhookEvent, WebhookSecret, event::Delivery};
use tower_pyannote_inbox::{Inbox, InboxFilter, InboxState};

use tower_pyannote_test_support::{
    bodies,
    http::{Post, SECRET},
    process::{Ended, SECRET_NAME, Server, dir, run},
};

/// Leaves a dead event in the inbox, whose handler has the name of the server's own.
fn die(dir: &Path, body: &str) -> String {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let inbox = Inbox::sqlite(dir.join("data/inbox.sqlite")).await.unwrap();
        let event = WebhookEvent::new(body.to_owned().into(), Delivery::at(SystemTime::now()));
        inbox.commit(&event.unwrap()).await.unwrap();
        let registry = HandlerRegistry::new()
            .on_any("archive", async |_event| {
                Err(HandlerError::permanent("the disk is \x1b[31m\u{2066}full"))
            })
            .unwrap();
        let worker = tokio::spawn(inbox.worker(registry).run_until(pending()));
        let dead = InboxFilter::new().with_state(InboxState::Dead);
        loop {
            if let [entry] = &inbox.list(&dead).await.unwrap()[..] {
                worker.abort();
                return entry.id.clone();
            }
            tokio::task::yield_now().await;
        }
    })
}

fn inbox(dir: &Path, command: &[&str]) -> Ended {
    let flags = [&["inbox"], command, &["--data-dir", "data"]].concat();
    run(dir, &flags, &[])
}

const DEAD: &str =
    r#"{"jobId":"job-\u001b[2J\u202e","status":"succeeded","output":{"voiceprint":"AAAA"}}"#;

#[test]
fn dead_event_is_listed_shown_and_replayed_by_the_next_server() {
    let dir = dir();
    let id = die(dir.path(), DEAD);

    let list = inbox(dir.path(), &["list", "--state", "dead"]);
    assert_eq!((list.code, &*list.stderr), (Some(0), ""));
    let lines: Vec<_> = list.stdout.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("ID ") && lines[0].ends_with("JOB"));
    let columns: Vec<_> = lines[1].split_whitespace().collect();
    assert_eq!(columns[..4], [&*id, "dead", "1", "83"]);
    // Text of a sender does not control the terminal.
    assert_eq!(
        columns[5..],
        ["voiceprint", "succeeded", "job-\\u{1b}[2J\\u{202e}"]
    );
    let waiting = inbox(dir.path(), &["list", "--state", "waiting"]);
    assert_eq!(waiting.stdout.lines().count(), 1);

    let show = inbox(dir.path(), &["show", &id]);
    assert_eq!(show.code, Some(0));
    assert!(
        show.stdout.contains("state            dead\n"),
        "{}",
        show.stdout
    );
    let error = "last error       archive: the disk is \\u{1b}[31m\\u{2066}full\n";
    assert!(show.stdout.contains(error), "{}", show.stdout);
    let body = inbox(dir.path(), &["show", &id, "--body"]);
    assert_eq!((body.code, &*body.stdout), (Some(0), DEAD));

    let replay = inbox(dir.path(), &["replay", "--dead"]);
    assert_eq!(
        (replay.code, &*replay.stdout),
        (Some(0), "1 to be handled again\n")
    );
    assert!(replay.stderr.contains("event replayed"));
    assert!(replay.stderr.contains(&id));

    let server = Server::start_in(dir, &[], &[(SECRET_NAME, SECRET)]);
    let kept = server.kept();
    assert_eq!(kept.into_values().collect::<Vec<_>>(), [DEAD.as_bytes()]);
    assert_eq!(server.inbox()["handled"], 1);
}

#[test]
fn running_server_handles_replayed_events() {
    let server = Server::start();
    let post = Post::new(bodies::status_only("a"));
    assert_eq!(post.send(server.address).status, 200);
    server.settle();
    let handled = "pyannote_inbox_attempts_total{outcome=\"handled\"}";
    assert_eq!(server.metric(handled), 1.0);

    let list = inbox(server.dir.path(), &["list", "--job-id", "a"]);
    let id = list
        .stdout
        .lines()
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    let replay = inbox(server.dir.path(), &["replay", id, "--all-handlers"]);
    assert_eq!(replay.code, Some(0), "{replay:?}");
    tower_pyannote_test_support::process::wait_until("the second time", || {
        server.metric(handled) == 2.0
    });
    assert_eq!(server.kept().len(), 1);
}

#[test]
fn handled_events_can_be_pruned_early() {
    let server = Server::start();
    assert_eq!(
        Post::new(bodies::status_only("a"))
            .send(server.address)
            .status,
        200
    );
    server.settle();
    let prune = |days| inbox(server.dir.path(), &["prune", "--days", days]).stdout;
    assert_eq!(prune("7"), "0 removed\n");
    assert_eq!(prune("0"), "1 removed\n");
    assert_eq!(server.inbox()["handled"], 0);
}

#[test]
fn unknown_event_is_an_error_in_one_line() {
    let dir = Server::start().kill_9();
    let none = "error: x: no such event\n";
    for (command, error) in [
        (&["show", "x"][..], none),
        (&["show", "x", "--body"], none),
        (
            &["replay", "x"],
            "error: x: no such event, or a worker handles it now\n",
        ),
    ] {
        let ended = inbox(dir.path(), command);
        assert_eq!(ended.code, Some(1));
        assert_eq!(ended.stdout, "");
        assert_eq!(ended.stderr, error);
    }
    let ended = inbox(dir.path(), &["replay"]);
    assert_eq!(ended.code, Some(2));
    assert_eq!(ended.stderr.lines().count(), 1);
}

#[test]
fn mistyped_inbox_path_is_an_error_and_creates_nothing() {
    let dir = dir();
    for command in [
        &["list"][..],
        &["show", "x"],
        &["show", "x", "--body"],
        &["replay", "x"],
        &["replay", "--dead"],
        &["prune"],
    ] {
        for (place, named) in [
            (["--data-dir", "typo"], "--data-dir typo"),
            (["--data-dir", "."], "--data-dir ."),
            (
                ["--database-url", "sqlite://typo/inbox.sqlite"],
                "--database-url (or DATABASE_URL)",
            ),
        ] {
            let flags = [&["inbox"], command, &place].concat();
            let ended = run(dir.path(), &flags, &[]);
            assert_eq!(ended.code, Some(1), "{flags:?}");
            assert_eq!(ended.stdout, "", "{flags:?}");
            let line =
                format!("error: {named}: the inbox's database cannot be opened: No such file");
            assert!(ended.stderr.starts_with(&line), "{}", ended.stderr);
            assert!(
                ended.stderr.contains("`pyannote-receiver inbox migrate`"),
                "{}",
                ended.stderr
            );
            assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
            let made: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
            assert!(made.is_empty(), "{flags:?}: {made:?}");
        }
    }
}

#[test]
fn database_error_names_the_setting_without_the_password() {
    let dir = dir();
    std::fs::write(
        dir.path().join("file"),
        "no database at all, however one looks at it",
    )
    .unwrap();
    for (url, setting) in [
        (
            "postgres://user:whs_password@localhost:1/x",
            "--database-url (or DATABASE_URL): ",
        ),
        (
            "mysql://user:whs_password@localhost/x",
            "--database-url (or DATABASE_URL): ",
        ),
        ("sqlite://file", "--database-url (or DATABASE_URL): "),
        (
            "sqlite://file/in/a/file",
            "--database-url (or DATABASE_URL): ",
        ),
    ] {
        let env = [(SECRET_NAME, SECRET), ("DATABASE_URL", url)];
        let ended = run(dir.path(), &["--port", "0", "--data-dir", "data"], &env);
        assert_eq!(ended.code, Some(1), "{url}");
        assert_eq!(ended.stdout, "");
        assert!(
            ended.stderr.starts_with(&format!("error: {setting}")),
            "{}",
            ended.stderr
        );
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(!ended.stderr.contains("whs_password"));
    }
}

#[test]
fn lists_counts_and_events_are_printed_as_json() {
    let dir = dir();
    let id = die(dir.path(), DEAD);
    let json = |command: &[&str]| {
        let ended = inbox(dir.path(), &[command, &["--json"]].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        serde_json::from_str::<serde_json::Value>(&ended.stdout).unwrap()
    };
    let list = json(&["list"]);
    assert_eq!(list.as_array().unwrap().len(), 1);
    let event = json(&["show", &id]);
    assert_eq!(list[0], event);
    assert_eq!(event["id"], *id);
    assert_eq!(event["job_id"], "job-\u{1b}[2J\u{202e}");
    assert_eq!(event["state"], "dead");
    assert_eq!(event["kind"], "voiceprint");
    assert_eq!(event["failed_attempts"], 1);
    assert_eq!(event["bytes"], 83);
    assert_eq!(
        event["last_error"],
        "archive: the disk is \u{1b}[31m\u{2066}full"
    );
    let received = event["received_at"].as_str().unwrap();
    assert!(received.parse::<jiff::Timestamp>().is_ok(), "{received}");
    assert_eq!(json(&["replay", &id]), serde_json::json!({ "replayed": 1 }));
    assert_eq!(json(&["prune"]), serde_json::json!({ "pruned": 0 }));
}

#[test]
fn completions_and_manual_pages_are_printed() {
    let dir = dir();
    for (command, contents) in [
        (&["completions", "bash"][..], "complete -F"),
        (&["completions", "zsh"], "#compdef pyannote-receiver"),
        (&["completions", "fish"], "complete -c pyannote-receiver"),
        (&["man"], ".TH pyannote-receiver 1"),
        (&["man", "serve"], "WEBHOOK_SERVER_PORT"),
        (&["man", "inbox"], ".TH pyannote-receiver-inbox 1"),
        (
            &["man", "inbox", "list"],
            ".TH pyannote-receiver-inbox-list 1",
        ),
    ] {
        let ended = run(dir.path(), command, &[]);
        assert_eq!(ended.code, Some(0), "{command:?} {}", ended.stderr);
        assert!(ended.stdout.contains(contents), "{command:?}");
    }
    for unknown in [&["man", "cook"][..], &["man", "inbox", "cook"]] {
        let ended = run(dir.path(), unknown, &[]);
        assert_eq!(ended.code, Some(2), "{unknown:?}");
        assert_eq!(ended.stderr, "error: cook: no such command\n");
    }
}

#[test]
fn manual_pages_of_all_commands_are_written_to_a_directory() {
    let dir = dir();
    let ended = run(dir.path(), &["man", "--directory", "."], &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for page in ["", "-serve", "-inbox", "-inbox-list", "-inbox-export"] {
        let page = format!("pyannote-receiver{page}.1");
        let text = std::fs::read_to_string(dir.path().join(&page)).unwrap();
        assert!(text.contains(".TH pyannote-receiver"), "{page}");
    }
    let ended = run(dir.path(), &["man", "--directory", "none"], &[]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended
            .stderr
            .contains("--directory none: cannot be written: No such file"),
        "{}",
        ended.stderr
    );
}

/// Submits a job with a reference, whose answer is lost, and returns its id. Its event is in the inbox.
fn lose_an_answer(dir: &Path) -> String {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let faults = Faults::default().with(Fault::ApiDrops, Odds::First(1));
        let config = Config::new(WebhookSecret::new(SECRET).unwrap()).with_faults(faults);
        let simulator = Simulator::start(config).await.unwrap();
        let inbox = Inbox::sqlite(dir.join("data/inbox.sqlite")).await.unwrap();
        let client = Client::builder("sk_example").with_base_url(simulator.url());
        let client = client.unwrap().with_submission_log(inbox.submissions());
        let request = DiarizeRequest::new("https://example.com/a.wav").unwrap();
        let request = request.with_reference("meeting-\u{202e}42").unwrap();
        let request = request.with_metadata(&json!({ "room": 7 })).unwrap();
        client.build().unwrap().diarize(request).await.unwrap_err();
        let job_id = simulator.jobs()[0]["jobId"].as_str().unwrap().to_owned();
        let body = bodies::status_only(&job_id);
        let event = WebhookEvent::new(body.into(), Delivery::at(SystemTime::now()));
        inbox.commit(&event.unwrap()).await.unwrap();
        job_id
    })
}

#[test]
fn lost_answer_is_listed_and_assigned_and_its_reference_shown() {
    let dir = dir();
    let job_id = lose_an_answer(dir.path());
    let parsed = |command: &[&str]| {
        let ended = inbox(dir.path(), command);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{command:?}");
        serde_json::from_str::<Value>(&ended.stdout).unwrap()
    };
    let found = ["list", "--json", "--reference", "meeting-\u{202e}42"];
    assert_eq!(parsed(&found), json!([]));
    let unanswered = parsed(&["unanswered", "--json"]);
    assert_eq!(unanswered[0]["reference"], "meeting-\u{202e}42");
    assert_eq!(unanswered[0]["kind"], "diarization");
    let table = inbox(dir.path(), &["unanswered"]).stdout;
    assert!(table.ends_with("  meeting-\\u{202e}42\n"), "{table}");

    let id = unanswered[0]["id"].as_str().unwrap();
    let answer = inbox(dir.path(), &["answer", id, &job_id]);
    assert_eq!((answer.code, &*answer.stdout), (Some(0), "1 assigned\n"));
    let again = inbox(dir.path(), &["answer", id, &job_id]);
    let error = format!("error: {id}: no submission without an answer\n");
    assert_eq!((again.code, again.stderr), (Some(1), error));
    assert_eq!(parsed(&["unanswered", "--json"]), json!([]));

    let listed = parsed(&found);
    assert_eq!(listed[0]["job_id"], job_id);
    assert_eq!(listed[0]["metadata"], json!({ "room": 7 }));
    assert_eq!(listed[0]["source"], "webhook");
    let id = listed[0]["id"].as_str().unwrap();
    let rows = inbox(dir.path(), &["show", id]).stdout;
    for row in [
        "reference        meeting-\\u{202e}42\n",
        "metadata         {\"room\":7}\n",
        "source           webhook\n",
    ] {
        assert!(rows.contains(row), "{rows}");
    }
}
