//! The databases, and how the test reads their tables.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tower_pyannote_inbox::Inbox;
use tower_pyannote_test_support::postgres::Postgres;

/// A kind of database.
pub(crate) trait Store {
    /// Returns an empty database; `None` if it is not installed.
    fn database() -> Option<Database>;
}

pub(crate) struct Sqlite;

pub(crate) struct Postgresql;

/// A database of a test case.
pub(crate) struct Database {
    address: String,
    schema: String,
    is_sqlite: bool,
    _directory: Option<TempDir>,
}

impl Store for Sqlite {
    fn database() -> Option<Database> {
        // In memory where that is possible, because no case loses power.
        let directory = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new());
        let directory = directory.unwrap();
        let path = directory.path().join("inbox.sqlite");
        Some(Database {
            address: format!("sqlite://{}", path.display()),
            schema: "main".to_owned(),
            is_sqlite: true,
            _directory: Some(directory),
        })
    }
}

impl Store for Postgresql {
    fn database() -> Option<Database> {
        static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
        static CASES: AtomicU32 = AtomicU32::new(0);

        let start = || {
            let server = Postgres::start()?;
            // No case loses power.
            server.psql("ALTER SYSTEM SET fsync = off");
            server.psql("SELECT pg_reload_conf()");
            Some(server)
        };
        let server = SERVER.get_or_init(start).as_ref()?;
        Some(Database {
            address: server.url("postgres"),
            schema: format!("case_{}", CASES.fetch_add(1, Ordering::Relaxed)),
            is_sqlite: false,
            _directory: None,
        })
    }
}

impl Database {
    pub(crate) async fn open(&self) -> Inbox {
        let inbox = Inbox::builder(&self.address).with_schema(&self.schema);
        inbox.unwrap().open().await.unwrap()
    }

    /// Connects to the tables behind the inbox's back.
    pub(crate) async fn tables(&self) -> Tables {
        let connection = match self.is_sqlite {
            true => Connected::Sqlite(SqliteConnection::connect(&self.address).await.unwrap()),
            false => Connected::Postgres(PgConnection::connect(&self.address).await.unwrap()),
        };
        Tables {
            connection,
            schema: self.schema.clone(),
        }
    }
}

pub(crate) struct Tables {
    connection: Connected,
    schema: String,
}

enum Connected {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// What is in the tables.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// Nanoseconds, by the database's clock.
    pub(crate) now: i64,
    pub(crate) events: BTreeMap<i64, Event>,
    pub(crate) leases: BTreeMap<String, Lease>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) job: String,
    pub(crate) status: String,
    pub(crate) body_bytes: i64,
    pub(crate) state: String,
    pub(crate) attempts: i64,
    pub(crate) worker: Option<String>,
    /// The fencing token.
    pub(crate) claims: i64,
    pub(crate) queued_at: i64,
    pub(crate) due_at: i64,
    pub(crate) finished_at: Option<i64>,
    /// The handlers that have finished, and whether with a permanent error.
    pub(crate) results: BTreeMap<String, bool>,
    pub(crate) conflicts: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    pub(crate) renewed_at: i64,
    pub(crate) expires_at: i64,
}

type EventRow = (
    i64,
    String,
    String,
    i64,
    String,
    i64,
    Option<String>,
    i64,
    i64,
    i64,
    Option<i64>,
);

impl Tables {
    pub(crate) async fn read(&mut self) -> Snapshot {
        let text = self.text(&self.snapshot()).await;
        let mut tables: Value = serde_json::from_str(&text).unwrap();
        let events: Vec<EventRow> = serde_json::from_value(tables["events"].take()).unwrap();
        let results: Vec<(i64, String, i64)> =
            serde_json::from_value(tables["results"].take()).unwrap();
        let conflicts: Vec<(i64,)> = serde_json::from_value(tables["conflicts"].take()).unwrap();
        let leases: Vec<(String, i64, i64)> =
            serde_json::from_value(tables["leases"].take()).unwrap();
        let events = events.into_iter().map(|row| {
            let (id, job, status, body_bytes, state, attempts, worker, ..) = row;
            let (.., claims, queued_at, due_at, finished_at) = row;
            let of_event = results.iter().filter(|(event, ..)| *event == id);
            let event = Event {
                job,
                status,
                body_bytes,
                state,
                attempts,
                worker,
                claims,
                queued_at,
                due_at,
                finished_at,
                results: of_event
                    .map(|(_, name, failed)| (name.clone(), *failed == 1))
                    .collect(),
                conflicts: conflicts.iter().filter(|(event,)| *event == id).count(),
            };
            (id, event)
        });
        let leases = leases.into_iter().map(|(name, renewed_at, expires_at)| {
            let lease = Lease {
                renewed_at,
                expires_at,
            };
            (name, lease)
        });
        Snapshot {
            now: tables["now"].as_i64().unwrap(),
            events: events.collect(),
            leases: leases.collect(),
        }
    }

    /// Moves the database's clock: all instants in the tables the other way.
    pub(crate) async fn move_clock(&mut self, minutes: i64) {
        let by = minutes * 60_000_000_000;
        for (table, columns) in [
            (
                "pyannote_events",
                ["queued_at", "due_at", "finished_at"].as_slice(),
            ),
            ("pyannote_leases", ["renewed_at", "expires_at"].as_slice()),
        ] {
            let mut sets = String::new();
            for column in columns {
                let comma = if sets.is_empty() { "" } else { ", " };
                write!(sets, "{comma}{column} = {column} - ({by})").unwrap();
            }
            self.run(&format!("UPDATE schema.{table} SET {sets}")).await;
        }
    }

    pub(crate) async fn drop_lease(&mut self, worker: &str) {
        self.run(&format!(
            "DELETE FROM schema.pyannote_leases WHERE name = '{worker}'"
        ))
        .await;
    }

    /// Waits until no transaction is left of a worker that was killed.
    pub(crate) async fn are_quiet(&mut self) {
        match &self.connection {
            // The transaction of this one waits for the other.
            Connected::Sqlite(_) => self.run("DELETE FROM schema.pyannote_probe").await,
            Connected::Postgres(_) => loop {
                if self.text(BUSY).await == "0" {
                    break;
                }
                nap().await;
            },
        }
    }

    /// Removes the tables of a case, which is not needed for a file.
    pub(crate) async fn are_removed(&mut self) {
        if let Connected::Postgres(_) = &self.connection {
            let schema = self.schema.clone();
            self.run(&format!("DROP SCHEMA {schema} CASCADE")).await;
        }
    }

    async fn run(&mut self, sql: &str) {
        let sql = AssertSqlSafe(sql.replace("schema.", &format!("{}.", self.schema)));
        match &mut self.connection {
            Connected::Sqlite(connection) => {
                sqlx::raw_sql(sql).execute(connection).await.unwrap();
            }
            Connected::Postgres(connection) => {
                sqlx::raw_sql(sql).execute(connection).await.unwrap();
            }
        }
    }

    async fn text(&mut self, sql: &str) -> String {
        let sql = sql.replace("schema.", &format!("{}.", self.schema));
        match &mut self.connection {
            Connected::Sqlite(connection) => {
                let sql = AssertSqlSafe(sql);
                sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
            }
            Connected::Postgres(connection) => {
                let sql = AssertSqlSafe(format!("SELECT CAST(({sql}) AS TEXT)"));
                sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
            }
        }
    }

    /// Selects all tables as one JSON object.
    fn snapshot(&self) -> String {
        let is_sqlite = matches!(self.connection, Connected::Sqlite(_));
        let list = |columns: &str, table: &str| match is_sqlite {
            true => format!(
                "json((SELECT json_group_array(json_array({columns})) FROM schema.{table}))"
            ),
            false => format!(
                "COALESCE((SELECT json_agg(json_build_array({columns})) FROM schema.{table}), CAST('[]' AS JSON))"
            ),
        };
        let (object, now) = match is_sqlite {
            true => (
                "json_object",
                "CAST(unixepoch('subsec') * 1000 AS BIGINT) * 1000000",
            ),
            false => (
                "json_build_object",
                "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) * 1000",
            ),
        };
        let events = "id, job_id, status, body_bytes, state, attempts, worker, claims, queued_at, due_at, finished_at";
        format!(
            "SELECT {object}('now', {now}, 'events', {}, 'results', {}, 'conflicts', {}, 'leases', {})",
            list(events, "pyannote_events"),
            list(
                "event_id, handler, CASE WHEN error IS NULL THEN 0 ELSE 1 END",
                "pyannote_results"
            ),
            list("event_id", "pyannote_conflicts"),
            list("name, renewed_at, expires_at", "pyannote_leases"),
        )
    }
}

/// Sleeps for a moment of real time, because the time of tokio stands still.
pub(crate) async fn nap() {
    let slept = tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(1)));
    slept.await.unwrap();
}

/// A transaction without an id has written nothing, and its worker is dead. sqlx leaves one open if a `BEGIN` is dropped halfway.
const BUSY: &str = "\
SELECT COUNT(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
  AND state <> 'idle' AND NOT (state = 'idle in transaction' AND backend_xid IS NULL)";
