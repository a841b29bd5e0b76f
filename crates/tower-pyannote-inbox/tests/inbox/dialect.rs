//! The statements that PostgreSQL gets: an inbox keeps to what a pooler passes on, and to what relatives of PostgreSQL document.

use std::{collections::BTreeSet, time::Duration};

use sqlx::{Connection, PgConnection};
use tower_pyannote::{HandlerError, HandlerRegistry, WebhookEvent};
use tower_pyannote_inbox::{Commit, Inbox, InboxFilter, Replay};
use tower_pyannote_test_support::postgres::Postgres;

use crate::place::{commit, entry, event, hasty, stoppable, until, until_state};
#[cfg(all(unix, feature = "reconcile"))]
use crate::{
    place::Place,
    reconcile::world::{HOUR, World, diarize},
};
#[cfg(all(unix, feature = "reconcile"))]
use pyannote_simulator::{Fault, Faults, Odds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_needs_an_extension_or_the_state_of_a_session() {
    let Some(mut postgres) = Postgres::start() else {
        return;
    };
    for setting in [
        "logging_collector = on",
        "log_destination = 'stderr'",
        "log_statement = 'all'",
        "log_parameter_max_length = 0",
        "log_line_prefix = '@%a@'",
    ] {
        postgres.psql(&format!("ALTER SYSTEM SET {setting}"));
    }
    postgres.stop();
    postgres.go_on();
    let address = postgres.url("postgres");
    Inbox::builder(&address).migrate().await.unwrap();
    let migrating = statements(&address).await;
    do_everything(&address).await;
    #[cfg(all(unix, feature = "reconcile"))]
    submit_and_reconcile(&address).await;
    let working = &statements(&address).await - &migrating;

    let creates = |statement: &&String| {
        ALLOWED_TO_MIGRATE
            .iter()
            .any(|begin| statement.starts_with(begin))
    };
    let created = migrating.iter().filter(creates).count();
    // The tables, their indexes and triggers are in one script.
    assert!(created >= 3, "{migrating:#?}");
    let rest = migrating.iter().filter(|statement| !creates(statement));
    for statement in working.iter().chain(rest) {
        // The settings of the planner are sent with `BEGIN`.
        let parts = match statement.strip_prefix("BEGIN; ") {
            Some(settings) => settings.split("; ").collect(),
            None => vec![statement.as_str()],
        };
        for part in parts {
            let verb = part.split(' ').next().unwrap();
            let is_planner_setting = part.starts_with("SET LOCAL enable_");
            assert!(ALLOWED.contains(&verb) || is_planner_setting, "{statement}");
        }
        for word in statement.split(|c: char| !c.is_alphanumeric() && c != '_') {
            assert!(
                !REFUSED.contains(&&*word.to_lowercase()),
                "{word}: {statement}"
            );
            assert!(!word.starts_with("pg_advisory"), "{statement}");
        }
    }
    let has = |part: &str| working.iter().any(|statement| statement.contains(part));
    // Each kind of work was seen.
    for part in [
        "INSERT INTO \"tower_pyannote\".pyannote_events",
        "INSERT INTO \"tower_pyannote\".pyannote_conflicts",
        "INSERT INTO \"tower_pyannote\".pyannote_results",
        "INSERT INTO \"tower_pyannote\".pyannote_leases",
        "FOR UPDATE SKIP LOCKED",
        "DELETE FROM \"tower_pyannote\".pyannote_events",
        "DELETE FROM \"tower_pyannote\".pyannote_results",
        "pyannote_probe",
    ] {
        assert!(has(part), "{part}: {working:#?}");
    }
    #[cfg(all(unix, feature = "reconcile"))]
    for part in SUBMITTING {
        assert!(has(part), "{part}: {working:#?}");
    }
}

/// Delivers, handles, fails, lists, replays and prunes.
async fn do_everything(address: &str) {
    let inbox = Inbox::open(address).await.unwrap();
    let registry = HandlerRegistry::new()
        .on_any("first", async |_: WebhookEvent| Ok(()))
        .unwrap()
        .on_any("second", async |event: WebhookEvent| match event.job_id() {
            "dead" => Err(HandlerError::permanent("never")),
            _ if event.attempt() == 1 => Err("not yet".into()),
            _ => Ok(()),
        })
        .unwrap();
    for job_id in ["handled", "dead"] {
        commit(&inbox, job_id).await;
        let other = event(job_id, "succeeded", r#","output":null"#);
        assert_eq!(inbox.commit(&other).await.unwrap(), Commit::Conflict);
    }
    let (stop, worker) = stoppable(hasty(&inbox, registry));
    until_state(&inbox, "handled", "handled").await;
    until_state(&inbox, "dead", "dead").await;
    // A lease is renewed after a second.
    until("renewed", async || {
        statements(address)
            .await
            .iter()
            .any(|statement| statement.contains("WITH changes AS (DELETE"))
    })
    .await;
    inbox.check().await.unwrap();
    let id = entry(&inbox, "dead").await.id;
    inbox.event(&id).await.unwrap().unwrap();
    assert!(inbox.replay(&id, Replay::All).await.unwrap());
    until_state(&inbox, "dead", "dead").await;
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
    assert_eq!(inbox.list(&InboxFilter::new()).await.unwrap().len(), 2);
    assert_eq!(inbox.prune(Duration::ZERO).await.unwrap(), 1);
}

/// Submits jobs and loses webhooks and an answer. A reconciler fetches one event and gives up another.
#[cfg(all(unix, feature = "reconcile"))]
async fn submit_and_reconcile(address: &str) {
    let place = Place::at(address);
    let with = |fault, odds| Faults::default().with(fault, odds);
    let losing = with(Fault::Lost, Odds::First(1));
    let world = World::start(&place, |config| config.with_faults(losing)).await;
    let fetched = world.diarize().await;
    let request = || diarize().with_reference("meeting-42").unwrap();
    world.submit(request()).await;
    world.rest().await;
    assert_eq!(world.reconciler().pass().await.new, 1);
    assert_eq!(entry(&world.inbox, &fetched).await.status, "succeeded");

    let dropping = with(Fault::ApiDrops, Odds::First(1));
    let world = World::start(&place, |config| config.with_seed(1).with_faults(dropping)).await;
    world.client.submit(request()).await.unwrap_err();
    world.rest().await;
    world.reconciler().pass().await;
    let unanswered = world.inbox.unanswered_submissions().await.unwrap();
    let id = unanswered[0].id.as_str();
    assert!(world.inbox.answer_submission(id, "job").await.unwrap());

    let losing = with(Fault::Lost, Odds::Percent(100.0));
    let world = World::start(&place, |config| {
        config
            .with_seed(2)
            .with_time_scale(100_000.0)
            .with_faults(losing)
    })
    .await;
    let lost = world.diarize().await;
    until("the deletion", async || {
        world.client.job(&lost).await.unwrap().output().is_none()
    })
    .await;
    world.clock.set(25 * HOUR);
    assert_eq!(world.reconciler().pass().await.lost, 1);
}

/// Returns the statements that inboxes have sent, on one line each.
async fn statements(address: &str) -> BTreeSet<String> {
    let mut other = PgConnection::connect(address).await.unwrap();
    let log = "SELECT pg_read_file(pg_current_logfile())";
    let log: String = sqlx::query_scalar(log).fetch_one(&mut other).await.unwrap();
    let of_inbox = log
        .split("\n@")
        .filter_map(|entry| entry.strip_prefix("tower-pyannote@LOG:"));
    let statements = of_inbox.filter_map(|entry| {
        let statement = entry.split_once("statement: ").or_else(|| {
            // `execute <unnamed>: …`
            let (_, rest) = entry.split_once("execute ")?;
            rest.split_once(": ")
        });
        let (_, statement) = statement?;
        Some(statement.split_whitespace().collect::<Vec<_>>().join(" "))
    });
    statements.collect()
}

/// The verbs of a server that works, besides `SET LOCAL` of a setting of the planner, which ends with the transaction.
const ALLOWED: [&str; 8] = [
    "BEGIN", "COMMIT", "ROLLBACK", "SELECT", "INSERT", "UPDATE", "DELETE", "WITH",
];

/// The statements of `migrate` beside these. The lock ends with the transaction.
const ALLOWED_TO_MIGRATE: [&str; 6] = [
    "SELECT pg_advisory_xact_lock(hashtext('tower-pyannote'))",
    "CREATE SCHEMA \"tower_pyannote\"",
    "CREATE TABLE \"tower_pyannote\".pyannote_schema",
    "ALTER TABLE \"tower_pyannote\".pyannote_",
    "-- Data of the user that travels with a job. ALTER TABLE \"tower_pyannote\".pyannote_submissions",
    "SELECT COUNT(*) FROM pg_catalog.pg_namespace",
];

/// Parts of the statements of submissions and of the reconciler, one of each statement.
#[cfg(all(unix, feature = "reconcile"))]
const SUBMITTING: [&str; 13] = [
    "pyannote_submissions (job_key, job_id, kind, status_only, submitted_at, reference, metadata, media, traceparent)",
    "INSERT INTO \"tower_pyannote\".pyannote_intents",
    "DELETE FROM \"tower_pyannote\".pyannote_intents WHERE id = $1",
    "UPDATE \"tower_pyannote\".pyannote_intents SET expires_at",
    "DELETE FROM \"tower_pyannote\".pyannote_intents WHERE expires_at",
    "held_at = NULL WHERE held_at IS NOT NULL AND claims = 0",
    "VALUES (2, (CAST(EXTRACT",
    "ORDER BY begun_at LIMIT $1",
    "pyannote_intents WHERE expires_at <= (CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) * 1000) AND id = $1",
    "WHERE job_key = $1 AND kind IS NOT NULL",
    "WHERE s.outcome IS NULL AND s.submitted_at > $1",
    "SELECT 1 WHERE EXISTS",
    "VALUES ($1, $2, $3, $4, $5, 'lost')",
];

/// Words of statements that keep state in a session, or need an extension.
const REFUSED: [&str; 14] = [
    "listen",
    "notify",
    "unlisten",
    "temp",
    "temporary",
    "prepare",
    "deallocate",
    "discard",
    "cursor",
    "hstore",
    "pgcrypto",
    "extension",
    "currval",
    "set_config",
];
