//! PostgreSQL behind PgBouncer, with another schema, and with a role that cannot create tables.

use std::error::Error;

use sqlx::{Connection, PgConnection, Row, postgres::PgPoolOptions};
use tokio::task::JoinSet;
use tower_pyannote_inbox::{Commit, ConfigError, Inbox, InboxErrorKind};
use tower_pyannote_test_support::{pgbouncer::PgBouncer, postgres::Postgres};

use crate::place::{Log, commit, counting, event, hasty, spawn, until_handled};

/// Commits and handles events through PgBouncer, and lists them through the server.
async fn works_through_pgbouncer(mode: &str, further: &str) {
    let Some(server) = Postgres::start() else {
        return;
    };
    let Some(pooler) = PgBouncer::start(&server, mode, further) else {
        return;
    };
    let inbox = Inbox::open(&pooler.url("postgres")).await.unwrap();
    let log = Log::default();
    let _worker = spawn(hasty(&inbox, counting(&log, "count")));
    let mut senders = JoinSet::new();
    for number in 0..100 {
        let inbox = inbox.clone();
        senders.spawn(async move { commit(&inbox, &format!("{number:03}")).await });
    }
    senders.join_all().await;
    until_handled(&inbox, 100).await;
    let again = inbox.commit(&event("007", "succeeded", "")).await.unwrap();
    assert_eq!(again, Commit::Duplicate);
    let other = event("007", "succeeded", r#","output":null"#);
    assert_eq!(inbox.commit(&other).await.unwrap(), Commit::Conflict);
    let mut lines = log.lines();
    lines.sort();
    let expected: Vec<_> = (0..100).map(|number| format!("{number:03} 1")).collect();
    assert_eq!(lines, expected);

    let direct = Inbox::open_existing(&server.url("postgres")).await.unwrap();
    assert_eq!(direct.stats().await.unwrap().handled, 100);
    let mut connection = PgConnection::connect(&server.url("postgres"))
        .await
        .unwrap();
    let elsewhere = "SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'";
    let elsewhere = sqlx::query(elsewhere).fetch_one(&mut connection).await;
    assert_eq!(elsewhere.unwrap().get::<i64, _>(0), 0);
}

const IGNORED: &str = "ignore_startup_parameters = extra_float_digits, options";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pgbouncer_in_session_mode() {
    works_through_pgbouncer("session", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pgbouncer_in_session_mode_that_ignores_startup_parameters() {
    works_through_pgbouncer("session", IGNORED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pgbouncer_in_transaction_mode() {
    works_through_pgbouncer("transaction", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pgbouncer_in_transaction_mode_that_ignores_startup_parameters() {
    works_through_pgbouncer("transaction", IGNORED).await;
}

#[tokio::test]
async fn a_role_that_may_create_nothing_opens_what_an_owner_migrated() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let owner = server.url("postgres");
    server.psql("CREATE ROLE server LOGIN");
    let address = owner.replace("postgres@", "server@");
    for builder in [
        Inbox::builder(&address),
        Inbox::builder(&address).with_migrations(false),
    ] {
        let error = builder.open().await.unwrap_err();
        assert_eq!(error.kind(), InboxErrorKind::Open);
    }
    Inbox::builder(&owner).migrate().await.unwrap();
    server.psql("GRANT USAGE ON SCHEMA tower_pyannote TO server");
    server.psql(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA tower_pyannote TO server",
    );
    for migrations in [true, false] {
        let inbox = Inbox::builder(&address).with_migrations(migrations);
        let inbox = inbox.open().await.unwrap();
        commit(&inbox, &format!("job {migrations}")).await;
        let log = Log::default();
        let worker = spawn(hasty(&inbox, counting(&log, "count")));
        until_handled(&inbox, if migrations { 1 } else { 2 }).await;
        worker.abort();
        inbox
            .prune(std::time::Duration::from_secs(3_600))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn inboxes_in_two_schemas_of_a_database_do_not_meet() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let url = server.url("postgres");
    let first = Inbox::open(&url).await.unwrap();
    let second = Inbox::builder(&url).with_schema("meetings").unwrap();
    let second = second.open().await.unwrap();
    commit(&first, "job").await;
    assert_eq!(second.stats().await.unwrap().waiting, 0);
    commit(&second, "job").await;
    let pool = PgPoolOptions::new().connect(&url).await.unwrap();
    let third = Inbox::builder_from_pool(pool.clone()).with_schema("meetings");
    let third = third.unwrap().open().await.unwrap();
    commit(&third, "other").await;
    assert_eq!(second.stats().await.unwrap().waiting, 2);
    let fourth = Inbox::from_pool(pool).await.unwrap();
    assert_eq!(fourth.stats().await.unwrap().waiting, 1);
}

#[tokio::test]
async fn tls_to_postgresql_needs_a_certificate_of_the_given_authority() {
    let Some(mut server) = Postgres::start() else {
        return;
    };
    let Some((url, authority)) = server.listen_with_tls("postgres") else {
        return;
    };
    let parameters = format!("sslmode=verify-full&sslrootcert={}", authority.display());
    let inbox = Inbox::open(&format!("{url}?{parameters}")).await.unwrap();
    commit(&inbox, "job").await;
    let encrypted = "SELECT COUNT(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
        WHERE s.ssl AND a.application_name = 'tower-pyannote'";
    let mut connection = PgConnection::connect(&server.url("postgres"))
        .await
        .unwrap();
    let encrypted = sqlx::query(encrypted).fetch_one(&mut connection).await;
    assert!(encrypted.unwrap().get::<i64, _>(0) > 0);
    for parameters in ["sslmode=verify-full", "sslmode=verify-ca"] {
        let error = Inbox::open(&format!("{url}?{parameters}"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), InboxErrorKind::Open);
        let text = format!("{error:?}");
        assert!(text.contains("invalid peer certificate"), "{text}");
    }
}

#[test]
fn a_setting_of_a_builder_that_cannot_work_is_refused_by_name() {
    let builder = || Inbox::builder("sqlite://x");
    let seconds = std::time::Duration::from_secs;
    let refused = [
        ("schema", builder().with_schema("").unwrap_err()),
        ("schema", builder().with_schema("Meetings").unwrap_err()),
        ("schema", builder().with_schema("a\"b").unwrap_err()),
        ("schema", builder().with_schema("1a").unwrap_err()),
        ("schema", builder().with_schema("x".repeat(64)).unwrap_err()),
        (
            "commit_memory",
            builder().with_commit_memory((1 << 20) - 1).unwrap_err(),
        ),
        (
            "commit_memory",
            builder().with_commit_memory((1 << 30) + 1).unwrap_err(),
        ),
        ("pool_size", builder().with_pool_size(1).unwrap_err()),
        ("pool_size", builder().with_pool_size(1_001).unwrap_err()),
        (
            "acquire_timeout",
            builder().with_acquire_timeout(seconds(0)).unwrap_err(),
        ),
        (
            "acquire_timeout",
            builder().with_acquire_timeout(seconds(61)).unwrap_err(),
        ),
    ];
    for (name, error) in refused {
        let ConfigError::Inbox { setting, .. } = &error else {
            panic!("{name}: {error:?}");
        };
        assert_eq!(*setting, name);
        assert_eq!(format!("{error:?}"), error.to_string());
        assert!(error.source().is_none());
    }
}
