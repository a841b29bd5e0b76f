//! Addresses, and the errors of those that cannot be opened.

use std::{error::Error, net::TcpListener, path::Path};

use sqlx::{Connection, PgConnection, Row, SqliteConnection};
use tempfile::TempDir;
use tower_pyannote::event::Source;
use tower_pyannote_inbox::{Commit, Inbox, InboxError, InboxErrorKind, InboxFilter};

use crate::place::{
    Log, Place, commit, counting, entry, event, hasty, on_each_store, spawn, state, until_handled,
};

use tower_pyannote_test_support::postgres::Postgres;

on_each_store! {
    open_existing_opens_an_existing_inbox,
    tables_of_a_newer_version_are_refused,
    tables_of_an_unreleased_version_are_refused,
    tables_of_the_first_version_are_migrated_with_their_events,
    sources_of_the_second_version_are_renamed,
    tables_of_the_fourth_version_are_migrated_with_their_events,
}

async fn tables_of_a_newer_version_are_refused(place: Place) {
    drop(place.open().await);
    place
        .execute("UPDATE pyannote_schema SET version = version + 1")
        .await;
    for opened in [
        Inbox::open(place.address()).await,
        Inbox::open_existing(place.address()).await,
    ] {
        let error = opened.unwrap_err();
        assert_eq!(error.kind(), InboxErrorKind::Open);
        let text = in_full(&error);
        assert!(text.contains("a newer version of this program"), "{text}");
        // `main` prints an error with `Debug`.
        assert_eq!(format!("{error:?}"), text);
    }
}

async fn tables_of_the_first_version_are_migrated_with_their_events(place: Place) {
    let inbox = place.open().await;
    commit(&inbox, "job").await;
    let on_events = match place.address().starts_with("sqlite:") {
        true => "",
        false => "ON pyannote_events",
    };
    for statement in [
        &format!("DROP TRIGGER inbox_hold {on_events}"),
        "DROP INDEX inbox_held",
        "DROP INDEX inbox_reference",
        "DROP INDEX inbox_received",
        "DROP INDEX inbox_dead",
        "ALTER TABLE pyannote_events DROP COLUMN held_at",
        "ALTER TABLE pyannote_submissions DROP COLUMN reference",
        "ALTER TABLE pyannote_submissions DROP COLUMN metadata",
        "ALTER TABLE pyannote_submissions DROP COLUMN media",
        "DROP TABLE pyannote_intents",
        "ALTER TABLE pyannote_events DROP COLUMN traceparent",
        "ALTER TABLE pyannote_submissions DROP COLUMN traceparent",
        "UPDATE pyannote_schema SET version = 1",
    ] {
        place.execute(statement).await;
    }
    if !on_events.is_empty() {
        place.execute("DROP FUNCTION pyannote_hold").await;
    }
    inbox.list(&InboxFilter::new()).await.unwrap_err();
    let inbox = place.open().await;
    handles_the_event_of_before(&inbox).await;
}

/// Checks that the only event of an inbox waits, and that a worker handles it.
async fn handles_the_event_of_before(inbox: &Inbox) {
    assert_eq!(state(inbox, "job").await, "waiting");
    let log = Log::default();
    let _worker = spawn(hasty(inbox, counting(&log, "count")));
    until_handled(inbox, 1).await;
    assert_eq!(log.lines(), ["job 1"]);
}

async fn sources_of_the_second_version_are_renamed(place: Place) {
    let inbox = place.open().await;
    let sources = [
        ("delivered", Source::Webhook, Commit::Conflict),
        ("fetched", Source::Api, Commit::Duplicate),
    ];
    for (old, ..) in sources {
        commit(&inbox, old).await;
    }
    for statement in [
        "UPDATE pyannote_events SET source = job_id",
        "ALTER TABLE pyannote_submissions DROP COLUMN media",
        "ALTER TABLE pyannote_submissions DROP COLUMN traceparent",
        "ALTER TABLE pyannote_events DROP COLUMN traceparent",
        "UPDATE pyannote_schema SET version = 2",
    ] {
        place.execute(statement).await;
    }
    let inbox = place.open().await;
    for (old, new, other_body) in sources {
        assert_eq!(entry(&inbox, old).await.source, new);
        let other = event(old, "succeeded", r#","output":null"#);
        assert_eq!(inbox.commit(&other).await.unwrap(), other_body);
    }
}

async fn tables_of_the_fourth_version_are_migrated_with_their_events(place: Place) {
    let inbox = place.open().await;
    commit(&inbox, "job").await;
    for statement in [
        "ALTER TABLE pyannote_submissions DROP COLUMN traceparent",
        "ALTER TABLE pyannote_events DROP COLUMN traceparent",
        "UPDATE pyannote_schema SET version = 4",
    ] {
        place.execute(statement).await;
    }
    let before = in_full(&inbox.event("1").await.unwrap_err());
    assert!(before.contains("traceparent"), "{before}");
    let inbox = place.open().await;
    handles_the_event_of_before(&inbox).await;
}

async fn tables_of_an_unreleased_version_are_refused(place: Place) {
    drop(place.open().await);
    place.execute("DROP TABLE pyannote_schema").await;
    place
        .execute("CREATE TABLE _pyannote_migrations (version BIGINT)")
        .await;
    for opened in [
        Inbox::open(place.address()).await,
        Inbox::open_existing(place.address()).await,
    ] {
        let error = opened.unwrap_err();
        assert_eq!(error.kind(), InboxErrorKind::Open);
        let text = in_full(&error);
        assert!(text.contains("before the first release"), "{text}");
    }
}

#[tokio::test]
async fn a_path_as_an_address_is_refused_with_the_right_address() {
    for address in ["data/inbox.sqlite", "/data/inbox.sqlite", ""] {
        let error = Inbox::open(address).await.unwrap_err();
        assert_eq!(error.kind(), InboxErrorKind::Address);
        let text = in_full(&error);
        assert!(text.ends_with("a path is written sqlite://PATH"), "{text}");
    }
}

async fn open_existing_opens_an_existing_inbox(place: Place) {
    commit(&place.open().await, "job").await;
    let inbox = Inbox::open_existing(place.address()).await.unwrap();
    assert_eq!(state(&inbox, "job").await, "waiting");
    commit(&inbox, "other").await;
}

fn in_full(error: &InboxError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn files(directory: &Path) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}

#[tokio::test]
async fn open_existing_creates_no_file() {
    let directory = TempDir::new().unwrap();
    for place in ["inbox.sqlite", "no/such/directory/inbox.sqlite"] {
        let path = directory.path().join(place);
        let address = format!("sqlite://{}", path.display());
        for opened in [
            Inbox::sqlite_existing(&path).await,
            Inbox::open_existing(&address).await,
        ] {
            let error = opened.unwrap_err();
            assert_eq!(error.kind(), InboxErrorKind::Open);
            assert!(in_full(&error).contains("No such file"), "{error:?}");
        }
    }
    assert_eq!(files(directory.path()), 0);
}

#[tokio::test]
async fn a_database_of_another_application_is_not_changed_by_opening_an_existing_inbox() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("other.sqlite");
    std::fs::write(&path, "").unwrap();
    let error = Inbox::sqlite_existing(&path).await.unwrap_err();
    assert!(
        in_full(&error).contains("there is no inbox in this database"),
        "{error:?}"
    );
    let address = format!("sqlite://{}", path.display());
    let mut other = SqliteConnection::connect(&address).await.unwrap();
    let table = sqlx::raw_sql("CREATE TABLE theirs (id INTEGER)");
    table.execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = Inbox::open_existing(&address).await.unwrap_err();
    assert_eq!(error.kind(), InboxErrorKind::Open);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(files(directory.path()), 1);
}

#[tokio::test]
async fn open_existing_creates_no_table_in_postgresql() {
    let Some(place) = Place::postgres() else {
        return;
    };
    let error = Inbox::open_existing(place.address()).await.unwrap_err();
    assert_eq!(error.kind(), InboxErrorKind::Open);
    assert!(
        in_full(&error).contains("there is no inbox in this database"),
        "{error:?}"
    );
    let mut other = PgConnection::connect(place.address()).await.unwrap();
    let schemas = sqlx::query("SELECT COUNT(*) FROM pg_namespace WHERE nspname = 'tower_pyannote'");
    let schemas: i64 = schemas.fetch_one(&mut other).await.unwrap().get(0);
    assert_eq!(schemas, 0);
}

#[tokio::test]
async fn parameters_of_a_sqlite_address_are_refused_by_name_and_make_no_file() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("inbox.sqlite");
    for (parameters, names) in [
        ("mode=ro", "mode"),
        ("mode=rwc&cache=shared", "mode, cache"),
        ("immutable", "immutable"),
    ] {
        let address = format!("sqlite://{}?{parameters}", path.display());
        let error = Inbox::open(&address).await.unwrap_err();
        assert_eq!(error.kind(), InboxErrorKind::Address);
        let text = in_full(&error);
        let named = format!("this one has {names}: leave them out");
        assert!(text.ends_with(&named), "{text}");
    }
    assert_eq!(files(directory.path()), 0);
}

#[tokio::test]
async fn a_port_that_refuses_is_named_as_the_reason() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let address = format!("postgres://user:whs_password@127.0.0.1:{port}/x");
    let error = Inbox::open(&address).await.unwrap_err();
    assert_eq!(error.kind(), InboxErrorKind::Open);
    let text = in_full(&error);
    assert!(text.contains("Connection refused"), "{text}");
    assert!(!text.contains("whs_password"), "{text}");
}

#[tokio::test]
async fn a_port_that_never_answers_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let address = format!("postgres://user@127.0.0.1:{port}/x?sslmode=disable");
    let error = Inbox::open(&address).await.unwrap_err();
    assert_eq!(error.kind(), InboxErrorKind::Open);
    let text = in_full(&error);
    assert!(text.ends_with("no answer within 4 s"), "{text}");
}

#[tokio::test]
async fn a_role_without_a_free_slot_or_with_another_password_is_named_as_the_reason() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    postgres.psql("CREATE ROLE full_up LOGIN CONNECTION LIMIT 0");
    postgres.psql("CREATE ROLE locked LOGIN PASSWORD 'right'");
    postgres.asks_for_passwords_of("locked");
    for (role, reason) in [
        ("full_up", "too many connections for role \"full_up\""),
        (
            "locked:whs_wrong",
            "password authentication failed for user \"locked\"",
        ),
    ] {
        let url = postgres.url("postgres");
        let url = url.replace("postgres@", &format!("{role}@"));
        let error = Inbox::open(&url).await.unwrap_err();
        assert_eq!(error.kind(), InboxErrorKind::Open);
        let text = in_full(&error);
        assert!(text.contains(reason), "{text}");
        assert!(!text.contains("whs_wrong"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_waits_for_a_database_that_is_starting() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let url = postgres.url("postgres");
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let socket = std::path::PathBuf::from(url.split_once("?host=").unwrap().1.replace("%2F", "/"))
        .join(".s.PGSQL.5432");
    // A TCP proxy that refuses connections for a second.
    let way = tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = tokio::net::UnixStream::connect(&socket).await.unwrap();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    let (database, _) = url.split_once("?host=").unwrap();
    let database = database.replace("localhost", &address.to_string());
    let inbox = Inbox::open(&format!("{database}?sslmode=disable"))
        .await
        .unwrap();
    commit(&inbox, "job").await;
    way.abort();
}
