//! `pyannote-receiver check`, run as a process.

use std::{fs, net::TcpListener, path::Path};

use pyannote_simulator::{Config, Simulator};
use serde_json::Value;
use sqlx::{Connection, SqliteConnection, query, query_as};
use tower_pyannote::WebhookSecret;
use tower_pyannote_test_support::{
    http::SECRET,
    nats::Nats,
    process::{SECRET_NAME, dir, run},
};

/// Returns the exit code, and each check by name: whether it succeeded, and its text.
fn check(
    dir: &Path,
    flags: &[&str],
    env: &[(&str, &str)],
) -> (Option<i32>, Vec<(String, bool, String)>) {
    let flags = [&["check", "--json"], flags].concat();
    let places = [
        ("WEBHOOK_SERVER_DATA_DIR", "data"),
        ("WEBHOOK_SERVER_PORT", "0"),
    ];
    let ended = run(dir, &flags, &[&places, env].concat());
    let checks: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |check: &Value| {
        (
            text(&check["name"]),
            check["ok"].as_bool().unwrap(),
            text(&check["text"]),
        )
    };
    (ended.code, checks.iter().map(of).collect())
}

/// Returns the names of the entries of a directory.
fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    entries.map(|entry| name(entry.unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_work_pass_and_leave_nothing_behind() {
    let config = Config::new(WebhookSecret::new(SECRET).unwrap());
    let simulator = Simulator::start(config).await.unwrap();
    let url = simulator.url();
    tokio::task::spawn_blocking(move || {
        let dir = dir();
        let env = [
            (SECRET_NAME, SECRET),
            ("PYANNOTEAI_API_KEY", "sk_example"),
            ("PYANNOTEAI_API_URL", &url),
        ];
        let (code, checks) = check(dir.path(), &["--reconcile"], &env);
        assert_eq!(code, Some(0), "{checks:?}");
        let names: Vec<_> = checks.iter().map(|(name, ..)| &**name).collect();
        let all = [
            "webhook secret",
            "archive",
            "database",
            "limits",
            "public address",
            "private address",
            "page",
            "API key",
        ];
        assert_eq!(names, all);
        assert!(checks.iter().all(|(_, ok, _)| *ok), "{checks:?}");
        assert_eq!(checks[1].2, "data does not exist yet; `serve` creates it");
        assert!(names_in(dir.path()).is_empty());

        fs::create_dir(dir.path().join("data")).unwrap();
        let archive = format!("file://{}", dir.path().join("archive").display());
        let (code, checks) = check(dir.path(), &["--archive", &archive], &env);
        assert_eq!(code, Some(0), "{checks:?}");
        assert_eq!(names_in(dir.path()), ["data"]);
        assert!(names_in(&dir.path().join("data")).is_empty());

        let ended = run(dir.path(), &["inbox", "migrate", "--data-dir", "data"], &[]);
        assert_eq!(ended.code, Some(0));
        let (code, checks) = check(dir.path(), &[], &env);
        assert_eq!(code, Some(0));
        assert_eq!(checks[2].2, "the inbox accepts writes");
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn inbox_of_an_earlier_version_is_not_migrated() {
    let dir = dir();
    let env = [("WEBHOOK_SERVER_DATA_DIR", "data")];
    assert_eq!(run(dir.path(), &["inbox", "migrate"], &env).code, Some(0));
    let file = dir.path().join("data/inbox.sqlite");
    let mut database = SqliteConnection::connect(file.to_str().unwrap())
        .await
        .unwrap();
    let earlier = "UPDATE pyannote_schema SET version = 4";
    query(earlier).execute(&mut database).await.unwrap();

    let secret = (SECRET_NAME, SECRET);
    for (flags, code, text) in [
        (&[][..], 0, "`serve` migrates them"),
        (
            &["--no-migrate"],
            1,
            "run `pyannote-receiver inbox migrate`",
        ),
    ] {
        let (ended, checks) = check(dir.path(), flags, &[secret]);
        assert_eq!(ended, Some(code), "{checks:?}");
        let of_database = checks.iter().find(|(name, ..)| name == "database");
        assert!(of_database.unwrap().2.contains(text), "{checks:?}");
        let version = query_as("SELECT version FROM pyannote_schema");
        let version: (i64,) = version.fetch_one(&mut database).await.unwrap();
        assert_eq!(version, (4,));
    }
}

#[test]
fn limits_are_checked_without_a_data_directory() {
    // No directory can be made in it.
    let flags = ["--data-dir", "/proc/data"];
    let (_, checks) = check(dir().path(), &flags, &[(SECRET_NAME, SECRET)]);
    let limits = checks.into_iter().find(|(name, ..)| name == "limits");
    let expected = (
        "limits".to_owned(),
        true,
        "the limits fit together".to_owned(),
    );
    assert_eq!(limits, Some(expected));
}

#[test]
fn each_failing_check_says_what_to_do() {
    let dir = dir();
    fs::write(dir.path().join("file"), "").unwrap();
    let endpoint =
        "[forward.endpoints.crm]\nurl = \"http://127.0.0.1:1\"\nstatuses = [\"success\"]";
    fs::write(dir.path().join("endpoint.toml"), endpoint).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let secret = (SECRET_NAME, SECRET);
    let key = ("PYANNOTEAI_API_KEY", "sk_a");
    for (name, flags, env, text) in [
        (
            "webhook secret",
            &[][..],
            &[][..],
            "copy the secret from the pyannoteAI dashboard",
        ),
        (
            "archive",
            &["--data-dir", "file"],
            &[secret],
            "--data-dir file: cannot store there",
        ),
        (
            "database",
            &["--database-url", "mysql://a"],
            &[secret],
            "it begins with neither sqlite:// nor postgres://",
        ),
        (
            "database",
            &["--no-migrate"],
            &[secret],
            "run `pyannote-receiver inbox migrate`",
        ),
        ("limits", &["--body-limit", "0"], &[secret], "--body-limit"),
        (
            "limits",
            &["--concurrency", "0"],
            &[secret],
            "--concurrency: ",
        ),
        ("limits", &["--lease", "1s"], &[secret], "--lease: "),
        (
            "limits",
            &["--body-timeout", "0"],
            &[secret],
            "--body-timeout: ",
        ),
        (
            "limits",
            &[
                "--reconcile",
                "--reconcile-interval",
                "0",
                "--api-url",
                "http://127.0.0.1:1",
            ],
            &[secret, key],
            "--reconcile-interval: ",
        ),
        (
            "private address",
            &["--private-listen", &taken],
            &[secret],
            "Address already in use",
        ),
        (
            "page",
            &["--private-listen", "0.0.0.0:0"],
            &[secret],
            "set a token (--page-token-hash)",
        ),
        (
            "page",
            &["--page-token-hash", "x"],
            &[secret],
            "make one with `pyannote-receiver page-token`",
        ),
        (
            "other programs",
            &[
                "--forward",
                "http://127.0.0.1:1",
                "--forward-secret-file",
                "file",
            ],
            &[secret],
            "--forward-secret-file",
        ),
        (
            "other programs",
            &["--config", "endpoint.toml"],
            &[secret],
            "forward.endpoints.crm: statuses: \"success\" is not one of succeeded, failed and canceled",
        ),
        (
            "relay",
            &["--relay", "nats://app:whs_password@127.0.0.1:1"],
            &[secret],
            "--relay: cannot connect to the NATS server: the server cannot be reached at the URL",
        ),
        (
            "API key",
            &["--reconcile"],
            &[secret],
            "--reconcile: the client's api key is not set: set PYANNOTEAI_API_KEY",
        ),
        (
            "API key",
            &["--fetch-output"],
            &[secret],
            "--fetch-output: the client's api key is not set: set PYANNOTEAI_API_KEY",
        ),
        (
            "API key",
            &["--reconcile", "--api-url", "http://127.0.0.1:1"],
            &[secret, key],
            "PYANNOTEAI_API_KEY: ",
        ),
    ] {
        let (code, checks) = check(dir.path(), flags, env);
        assert_eq!(code, Some(1), "{name} {checks:?}");
        let failed: Vec<_> = checks.iter().filter(|(_, ok, _)| !ok).collect();
        assert!(
            failed
                .iter()
                .any(|(failed, _, said)| failed == name && said.contains(text)),
            "{name} {failed:?}"
        );
        // An error names the prefix of another kind of secret.
        let told = format!("{checks:?}").replace("whsk_", "");
        assert!(!told.contains("whs_") && !told.contains("sk_"), "{told}");
    }
}

#[test]
fn relay_is_tried_and_no_stream_is_created() {
    let dir = dir();
    let Some(nats) = Nats::start("authorization { user: app, password: whs_password }") else {
        return;
    };
    let env = [(SECRET_NAME, SECRET)];
    for (user, ok, text) in [
        (
            "app:whs_password",
            true,
            "the server has no stream PYANNOTE; `serve` creates it",
        ),
        // The check above created none.
        (
            "app:whs_password",
            true,
            "the server has no stream PYANNOTE; `serve` creates it",
        ),
        (
            "app:whs_wrong",
            false,
            "--relay: cannot connect to the NATS server: the server refuses the user, the password or the token",
        ),
    ] {
        let url = nats.url().replace("nats://", &format!("nats://{user}@")) + "\n";
        fs::write(dir.path().join("relay"), url).unwrap();
        let (_, checks) = check(dir.path(), &["--relay-file", "relay"], &env);
        let relay = checks.iter().find(|(name, ..)| name == "relay").unwrap();
        assert_eq!(relay.1, ok, "{relay:?}");
        assert!(relay.2.starts_with(text), "{relay:?}");
        assert!(!relay.2.contains("whs_"), "{relay:?}");
    }
}

#[test]
fn table_marks_what_failed() {
    let dir = dir();
    let ended = run(
        dir.path(),
        &["check", "--data-dir", "data", "--port", "0"],
        &[],
    );
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .stdout
            .starts_with("FAILED  webhook secret    environment variable"),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("\nok      archive "),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stderr.ends_with("error: 1 check failed\n"),
        "{}",
        ended.stderr
    );
}
