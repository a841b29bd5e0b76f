use std::{
    collections::{HashMap, HashSet},
    io::ErrorKind,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant, SystemTime},
};

use apalis_core::{
    task::{Task, builder::TaskBuilder, task_id::TaskId},
    worker::context::WorkerContext,
};
use apalis_postgres::{Config, PostgresStorage, queries};
use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool, Postgres, Row, Transaction,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions, PgRow},
};
use tokio::time::{sleep, timeout};
use ulid::Ulid;

#[cfg(feature = "reconcile")]
use super::submissions::{MOST_AWAITED, Submission, SubmissionStore, received};
use super::{
    Commit, InboxEntry, InboxError, InboxErrorKind, InboxFilter, InboxState, InboxStats, Replay,
    committer::Grouping,
    record::{Record, Stored, job_key, kind, nanoseconds, seconds, seconds_from_now, time},
    sql::{
        BUSY, EXHAUSTED, FORGOTTEN, FORGOTTEN_AT_ONCE, MANY, PATIENCE, PRUNED_AT_ONCE,
        PRUNED_BYTES, REMEMBERED, failed, sql_store, state, unsigned,
    },
    store::{
        Claim, Claimed, End, Missing, NO_INBOX, OUR_MIGRATIONS, QUEUE, Settled, Start, Store,
        StoreFuture, Ticket,
    },
    submissions::submission_store,
};
#[cfg(feature = "reconcile")]
use tower_pyannote::event::Text;

/// An inbox that many servers share.
#[derive(Debug)]
pub(super) struct PostgresStore {
    pool: PgPool,
    /// Submissions up to this time were looked through, for those to be forgotten.
    forgotten_to: AtomicI64,
}

impl PostgresStore {
    /// Opens a database. If it has no inbox, makes one, or fails, as `missing` says.
    pub(super) async fn open(url: &str, missing: Missing) -> Result<Self, InboxError> {
        let is_known = |name: &str| PARAMETERS.contains(&name) || name.starts_with("options[");
        if !parameters(url).all(is_known) {
            // sqlx would log it with its value, which may be a secret; and what follows a bare `?` in a password looks like one.
            let unknown = format!("a parameter is none of {}", PARAMETERS.join(", "));
            return Err(InboxError::because(InboxErrorKind::Address, unknown));
        }
        let options: PgConnectOptions = url
            .parse()
            .map_err(|error| InboxError::because(InboxErrorKind::Address, error))?;
        // In a schema of our own, the notes that sqlx makes of migrations do not meet those of an application's.
        let options = options
            .options([("search_path", SEARCH_PATH)])
            .application_name("tower-pyannote");
        let opened = |error| InboxError::because(InboxErrorKind::Open, error);
        let mut first = first_connection(&options).await?;
        if missing == Missing::Refused && !is_inbox(&mut first).await.map_err(opened)? {
            return Err(InboxError::because(InboxErrorKind::Open, NO_INBOX));
        }
        migrate(&mut first).await.map_err(opened)?;
        // All that is needed of it is done.
        let _ = first.close().await;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            // As the pool does by itself, but it would wait on a connection that went dark until TCP gives up.
            .test_before_acquire(false)
            .before_acquire(|connection, _| Box::pin(answers(connection)))
            .after_release(|connection, _| Box::pin(answers(connection)))
            .connect_lazy_with(options);
        Ok(Self {
            pool,
            forgotten_to: AtomicI64::new(i64::MIN),
        })
    }

    async fn write(&self) -> Result<Transaction<'static, Postgres>, InboxError> {
        self.pool.begin().await.map_err(failed)
    }

    fn read(&self) -> &PgPool {
        &self.pool
    }

    async fn commit_in(
        tx: &mut Transaction<'_, Postgres>,
        batch: &[Record],
    ) -> Result<Vec<Commit>, InboxError> {
        // In one order everywhere: else two servers that take the same deliveries could wait for each other.
        let mut records: Vec<&Record> = batch.iter().collect();
        records.sort_by_key(|record| record.event_key);
        let ids: Vec<String> = records
            .iter()
            .map(|_| Ulid::generate().to_string())
            .collect();
        let added = sqlx::query(
            "INSERT INTO pyannote_events (id, event_key, job_key, job_id, status, kind, source, sha256, \
             body_bytes, received_at, signed_at, retry_number, retry_reason, body) \
             SELECT * FROM UNNEST($1::text[], $2::bytea[], $3::bytea[], $4::text[], $5::text[], $6::text[], \
             $7::text[], $8::bytea[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], \
             $14::bytea[]) \
             ON CONFLICT (event_key) DO NOTHING RETURNING id, event_key",
        )
        .bind(&ids)
        .bind(column(&records, |record| &record.event_key[..]))
        .bind(column(&records, |record| &record.job_key[..]))
        .bind(column(&records, |record| record.job_id.as_str()))
        .bind(column(&records, |record| record.status.as_str()))
        .bind(column(&records, |record| record.kind))
        .bind(column(&records, |record| record.source.as_str()))
        .bind(column(&records, |record| &record.sha256[..]))
        .bind(column(&records, |record| record.body_bytes()))
        .bind(column(&records, |record| record.received_at))
        .bind(column(&records, |record| record.signed_at))
        .bind(column(&records, |record| record.retry_number))
        .bind(column(&records, |record| record.retry_reason.as_deref()))
        .bind(column(&records, |record| &record.body[..]))
        .fetch_all(&mut **tx)
        .await
        .map_err(failed)?;

        let mut tasks = Vec::with_capacity(added.len());
        let mut new = HashSet::with_capacity(added.len());
        for row in &added {
            let id: String = row.try_get(0).map_err(failed)?;
            let id = Ulid::from_string(&id)
                .map_err(|error| InboxError::because(InboxErrorKind::Store, error))?;
            tasks.push(task(id));
            new.insert(row.try_get::<Vec<u8>, _>(1).map_err(failed)?);
        }
        queries::push_tasks(&mut **tx, QUEUE, tasks)
            .await
            .map_err(engine)?;

        if new.len() == batch.len() {
            return Ok(vec![Commit::New; batch.len()]);
        }
        Self::repeated(tx, batch, new).await
    }

    /// Says of each what it was, where not all were new.
    async fn repeated(
        tx: &mut Transaction<'_, Postgres>,
        batch: &[Record],
        mut new: HashSet<Vec<u8>>,
    ) -> Result<Vec<Commit>, InboxError> {
        let keys: Vec<&[u8]> = batch.iter().map(|record| &record.event_key[..]).collect();
        let rows = sqlx::query(
            "SELECT event_key, sha256, source FROM pyannote_events WHERE event_key = ANY($1)",
        )
        .bind(keys)
        .fetch_all(&mut **tx)
        .await
        .map_err(failed)?;
        let mut kept: HashMap<Vec<u8>, (Vec<u8>, String)> = HashMap::with_capacity(rows.len());
        for row in &rows {
            let values = (
                row.try_get(1).map_err(failed)?,
                row.try_get(2).map_err(failed)?,
            );
            kept.insert(row.try_get(0).map_err(failed)?, values);
        }

        let mut commits = Vec::with_capacity(batch.len());
        let mut conflicts = Vec::new();
        for record in batch {
            let Some((sha256, source)) = kept.get(&record.event_key[..]) else {
                // Pruned by another server between the two statements: the sender has to come again.
                let pruned = "a repeated event was pruned at this very moment";
                return Err(InboxError::because(InboxErrorKind::Store, pruned));
            };
            let commit = if record.conflicts_with(sha256, source) {
                conflicts.push(record);
                Commit::Conflict
            } else if new.remove(&record.event_key[..]) {
                Commit::New
            } else {
                Commit::Duplicate
            };
            commits.push(commit);
        }
        conflicts.sort_by_key(|record| (record.event_key, record.sha256));
        for record in conflicts {
            Self::keep_aside(tx, record).await?;
        }
        Ok(commits)
    }

    async fn add_worker(
        tx: &mut Transaction<'_, Postgres>,
        worker: &WorkerContext,
    ) -> Result<(), InboxError> {
        // The type of the time has no public name; the default is long ago, and is brought up to date below.
        queries::register_worker(
            &mut **tx,
            QUEUE,
            worker,
            &Default::default(),
            "tower-pyannote",
        )
        .await
        .map_err(engine)?;
        queries::keep_alive(&mut **tx, QUEUE, worker)
            .await
            .map_err(engine)
    }

    async fn register_in(
        tx: &mut Transaction<'_, Postgres>,
        worker: &WorkerContext,
        _: Duration,
    ) -> Result<(), InboxError> {
        Self::add_worker(tx, worker).await
    }

    async fn keep_alive_in(
        tx: &mut Transaction<'_, Postgres>,
        worker: &WorkerContext,
        lease: Duration,
    ) -> Result<(), InboxError> {
        match queries::keep_alive(&mut **tx, QUEUE, worker).await {
            // After a long silence another worker may have removed its name.
            Err(apalis_postgres::Error::WorkerOutOfSync) => Self::add_worker(tx, worker).await?,
            kept => kept.map_err(engine)?,
        }
        queries::reenqueue_orphaned(&mut **tx, QUEUE, lease.as_secs())
            .await
            .map_err(engine)?;
        Ok(())
    }

    async fn claim_in(
        tx: &mut Transaction<'_, Postgres>,
        worker: &WorkerContext,
    ) -> Result<Vec<Task<Vec<u8>>>, InboxError> {
        // What waits in a worker's own buffer would be kept from all others.
        let config = Config::default().queue(QUEUE).batch_size(1);
        queries::fetch_next(&mut **tx, &config, worker)
            .await
            .map_err(engine)
    }

    /// Keeps workers that begin on events of one job from not seeing each other.
    async fn lock_job(
        tx: &mut Transaction<'_, Postgres>,
        job_key: &[u8],
    ) -> Result<(), InboxError> {
        let (number, _) = job_key.split_first_chunk().unwrap_or((&[0; 8], &[]));
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(i64::from_be_bytes(*number))
            .execute(&mut **tx)
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// What is read after this is not older than the last claim of the event.
    async fn lock_event(tx: &mut Transaction<'_, Postgres>, id: &str) -> Result<(), InboxError> {
        sqlx::query("SELECT 1 FROM apalis.jobs WHERE id = $1 FOR UPDATE")
            .bind(id)
            .execute(&mut **tx)
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// Nothing to do: PostgreSQL tidies up by itself.
    async fn tidy(_: &mut Transaction<'_, Postgres>) -> Result<(), InboxError> {
        Ok(())
    }
}

sql_store!(PostgresStore, Postgres, PgRow, "to_timestamp(", ")");
submission_store!(PostgresStore);

/// The task that stands for an event: it carries nothing, as the event's own row has the same id.
fn task(id: Ulid) -> Task<Vec<u8>> {
    TaskBuilder::new(Vec::new())
        .task_id(TaskId::from_ulid(id))
        .max_attempts(usize::try_from(MANY).unwrap_or(usize::MAX))
        .build()
}

/// The names of an address' parameters.
fn parameters(url: &str) -> impl Iterator<Item = &str> {
    let (_, query) = url.split_once('?').unwrap_or_default();
    let (query, _) = query.split_once('#').unwrap_or((query, ""));
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    parameters.map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")).0)
}

fn column<'a, T>(records: &[&'a Record], value: impl Fn(&'a Record) -> T) -> Vec<T> {
    records.iter().map(|record| value(record)).collect()
}

/// Connects, and waits a while for a database that starts or has no slot free, as a pool does. A pool would then say that it
/// timed out, and not why.
async fn first_connection(options: &PgConnectOptions) -> Result<PgConnection, InboxError> {
    let begun = Instant::now();
    let mut why = InboxError::because(InboxErrorKind::Open, "no answer within 4 s");
    while let Some(left) = PATIENCE.checked_sub(begun.elapsed()) {
        match timeout(left, options.connect()).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => {
                let is_final = !may_pass(&error);
                why = InboxError::because(InboxErrorKind::Open, error);
                if is_final {
                    break;
                }
                sleep(TURN).await;
            }
            Err(_) => break,
        }
    }
    Err(why)
}

/// Whether a database that could not be connected to may be there soon.
fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
        // It has too many connections, or starts, or stops.
        sqlx::Error::Database(error) => {
            let code = error.code();
            code.is_some_and(|code| ["53300", "57P03"].contains(&&*code))
        }
        _ => false,
    }
}

/// Whether a database has the tables of an inbox.
async fn is_inbox(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let row = sqlx::query("SELECT to_regclass('tower_pyannote.' || $1) IS NOT NULL")
        .bind(OUR_MIGRATIONS)
        .fetch_one(connection)
        .await?;
    row.try_get(0)
}

async fn migrate(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut ours: Migrator = sqlx::migrate!("src/postgres/migrations");
    ours.dangerous_set_table_name(OUR_MIGRATIONS);

    let mut tx = connection.begin().await?;
    // Servers that start together: to make a schema twice at the same time fails, even if it may exist.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('tower-pyannote'))")
        .execute(&mut *tx)
        .await?;
    sqlx::query("CREATE SCHEMA IF NOT EXISTS tower_pyannote")
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    PostgresStorage::migrations()
        .run_direct(None, connection, false)
        .await?;
    ours.run_direct(None, connection, false).await?;
    Ok(())
}

/// Whether a connection is alive; an error has the pool throw it away.
async fn answers(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    match timeout(PING, connection.ping()).await {
        Ok(answer) => answer.map(|()| true),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

fn engine(error: apalis_postgres::Error) -> InboxError {
    match error {
        apalis_postgres::Error::Database(error) => failed(error),
        error => InboxError::because(InboxErrorKind::Store, error),
    }
}

/// Ours first, so that what is created goes there; `public` last, where extensions may be.
const SEARCH_PATH: &str = "tower_pyannote,apalis,public";

/// A few commits at a time, as PostgreSQL flushes those together that come together.
const GROUPING: Grouping = Grouping {
    parallel: 4,
    largest: 64,
};

/// How soon another try is made to reach a database that is not there yet.
const TURN: Duration = Duration::from_millis(100);

/// A connection that needs longer is no good for a delivery that has to be answered within 5 s.
const PING: Duration = Duration::from_secs(1);

/// The parameters of an address that sqlx knows.
const PARAMETERS: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

const CONNECTIONS: u32 = 10;
