mod file;

use std::{
    collections::HashSet,
    fs,
    io::{self, ErrorKind},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use apalis_core::{backend::WorkerFilter, task::Task, worker::context::WorkerContext};
use apalis_sqlite::{Config, SqliteStorage, queries};
use sqlx::{
    ConnectOptions, Connection, QueryBuilder, Row, Sqlite, SqlitePool, Transaction,
    migrate::Migrator,
    sqlite::{
        SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow,
        SqliteSynchronous,
    },
};
use tokio::time::sleep;
use ulid::Ulid;

use self::file::{Damage, OpenFile, Wal};

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

/// An inbox in one file.
#[derive(Debug)]
pub(super) struct SqliteStore {
    /// One connection: SQLite has one writer at a time, and those who wait for it here are served in turn.
    writer: SqlitePool,
    readers: SqlitePool,
    file: OpenFile,
    /// Submissions up to this time were looked through, for those to be forgotten.
    forgotten_to: AtomicI64,
}

impl SqliteStore {
    /// Opens a file. If there is none, makes it, with its folder, or fails, as `missing` says.
    pub(super) async fn open(path: &Path, missing: Missing) -> Result<Self, InboxError> {
        let opened = |error| InboxError::because(InboxErrorKind::Open, error);
        let not_there = |error: io::Error| InboxError::because(InboxErrorKind::Open, error);
        match missing {
            Missing::Made => {
                if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
                    fs::create_dir_all(folder).map_err(not_there)?;
                }
            }
            Missing::Refused => {
                fs::metadata(path).map_err(not_there)?;
                if !is_inbox(path).await.map_err(opened)? {
                    return Err(InboxError::because(InboxErrorKind::Open, NO_INBOX));
                }
            }
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(missing == Missing::Made)
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE);
        let pool = |size| {
            SqlitePoolOptions::new()
                .max_connections(size)
                .acquire_timeout(PATIENCE)
        };
        let wal = Arc::new(Wal::beside(path));
        let opened_wal = Arc::clone(&wal);
        let writer_options = pool(1)
            // Without any connection SQLite would remove the -wal file.
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(move |connection, _| {
                let wal = Arc::clone(&opened_wal);
                Box::pin(async move {
                    // SQLite opens, or makes, the -wal file when it first reads.
                    sqlx::query("PRAGMA schema_version")
                        .execute(connection)
                        .await?;
                    wal.is_opened();
                    Ok(())
                })
            });
        let begun = Instant::now();
        let writer = loop {
            match writer_options.clone().connect_with(options.clone()).await {
                // To change the journal's mode, as the first process does, does not wait for its turn.
                Err(error) if is_locked(&error) && begun.elapsed() < PATIENCE => {
                    sleep(TURN).await;
                }
                connected => break connected.map_err(opened)?,
            }
        };
        migrate(&writer).await.map_err(opened)?;
        let readers = pool(READERS).connect_lazy_with(options.create_if_missing(false));
        let file = OpenFile::of(wal).map_err(not_there)?;
        Ok(Self {
            writer,
            readers,
            file,
            forgotten_to: AtomicI64::new(i64::MIN),
        })
    }

    async fn write(&self) -> Result<Transaction<'static, Sqlite>, InboxError> {
        let tx = self.begin().await?;
        let Err(damage) = self.file.check().await else {
            return Ok(tx);
        };
        tx.rollback().await.map_err(failed)?;
        self.mend(damage).await?;
        self.begin().await
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, InboxError> {
        match self.writer.begin_with(BEGIN).await {
            // After some errors, a full disk among them, SQLite rolls back by itself; sqlx then fails to, and goes on to
            // count the transaction as open.
            Err(sqlx::Error::InvalidSavePointStatement) => {
                // SQLite would make another -wal file.
                if let Err(damage) = self.file.check().await {
                    self.mend(damage).await?;
                }
                let stuck = self.writer.acquire().await.map_err(failed)?;
                stuck.close().await.map_err(failed)?;
                self.writer.begin_with(BEGIN).await.map_err(failed)
            }
            begun => begun.map_err(failed),
        }
    }

    /// Saves what can be saved. Returns an error unless the files are good again.
    async fn mend(&self, damage: Damage) -> Result<(), InboxError> {
        let because = |why| Err(InboxError::because(InboxErrorKind::Store, why));
        match damage {
            Damage::Other(error) => Err(error),
            // SQLite has the file open until the process ends, and copies what was acknowledged out of it.
            Damage::WalRemoved => {
                self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)").await?;
                because("the database's -wal file was removed: restart to make another")
            }
            // A checkpoint fails if the lost part was not copied yet. Once it has copied all, SQLite restarts the file.
            Damage::WalShortened => match self.checkpoint("PRAGMA wal_checkpoint(RESTART)").await {
                Ok(0) => {
                    self.file.wal.is_opened();
                    Ok(())
                }
                Ok(_) => because("the database's -wal file became shorter, and is in use"),
                Err(_) => because(
                    "the database's -wal file was truncated: stop, and restore the database from a backup",
                ),
            },
        }
    }

    /// Returns 0, or 1 if others kept it from its end.
    async fn checkpoint(&self, checkpoint: &'static str) -> Result<i64, InboxError> {
        let mut writer = self.writer.acquire().await.map_err(failed)?;
        let done = sqlx::query(checkpoint).fetch_one(&mut *writer).await;
        done.and_then(|row| row.try_get(0)).map_err(failed)
    }

    fn read(&self) -> &SqlitePool {
        &self.readers
    }

    async fn commit_in(
        tx: &mut Transaction<'_, Sqlite>,
        batch: &[Record],
    ) -> Result<Vec<Commit>, InboxError> {
        // In one statement, as each is a way to SQLite's thread and back.
        let mut insert = QueryBuilder::new(
            "INSERT INTO pyannote_events (id, event_key, job_key, job_id, status, kind, source, sha256, body_bytes, \
             received_at, signed_at, retry_number, retry_reason, body) ",
        );
        insert.push_values(batch, |mut row, record| {
            row.push_bind(Ulid::generate().to_string())
                .push_bind(&record.event_key[..])
                .push_bind(&record.job_key[..])
                .push_bind(&record.job_id)
                .push_bind(&record.status)
                .push_bind(record.kind)
                .push_bind(record.source.as_str())
                .push_bind(&record.sha256[..])
                .push_bind(record.body_bytes())
                .push_bind(record.received_at)
                .push_bind(record.signed_at)
                .push_bind(record.retry_number)
                .push_bind(&record.retry_reason)
                .push_bind(&record.body[..]);
        });
        insert.push(" ON CONFLICT (event_key) DO NOTHING RETURNING id, event_key");
        let added = insert.build().fetch_all(&mut **tx).await.map_err(failed)?;

        let mut ids: Vec<String> = Vec::with_capacity(added.len());
        let mut new: HashSet<Vec<u8>> = HashSet::with_capacity(added.len());
        for row in &added {
            ids.push(row.try_get(0).map_err(failed)?);
            new.insert(row.try_get(1).map_err(failed)?);
        }
        Self::push_tasks(tx, &ids).await?;

        let mut commits = Vec::with_capacity(batch.len());
        for record in batch {
            commits.push(match new.remove(&record.event_key[..]) {
                true => Commit::New,
                false => Self::repeated(tx, record).await?,
            });
        }
        Ok(commits)
    }

    /// As apalis does, which takes a statement for each: a task that carries nothing, as the event's own row has the same id.
    async fn push_tasks(
        tx: &mut Transaction<'_, Sqlite>,
        ids: &[String],
    ) -> Result<(), InboxError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut insert = QueryBuilder::new(
            "INSERT INTO Jobs (job, id, job_type, status, attempts, max_attempts, run_at, priority, metadata) ",
        );
        let now = seconds(SystemTime::now());
        insert.push_values(ids, |mut row, id| {
            row.push("X''")
                .push_bind(id)
                .push_bind(QUEUE)
                .push("'Pending', 0")
                .push_bind(MANY)
                .push_bind(now)
                .push("0, '{}'");
        });
        insert.build().execute(&mut **tx).await.map_err(failed)?;
        Ok(())
    }

    async fn repeated(
        tx: &mut Transaction<'_, Sqlite>,
        record: &Record,
    ) -> Result<Commit, InboxError> {
        let kept = sqlx::query("SELECT sha256, source FROM pyannote_events WHERE event_key = $1")
            .bind(&record.event_key[..])
            .fetch_one(&mut **tx)
            .await
            .map_err(failed)?;
        let sha256: Vec<u8> = kept.try_get(0).map_err(failed)?;
        let source: String = kept.try_get(1).map_err(failed)?;
        if !record.conflicts_with(&sha256, &source) {
            return Ok(Commit::Duplicate);
        }
        Self::keep_aside(tx, record).await?;
        Ok(Commit::Conflict)
    }

    async fn register_in(
        tx: &mut Transaction<'_, Sqlite>,
        worker: &WorkerContext,
        lease: Duration,
    ) -> Result<(), InboxError> {
        let config = config(lease);
        match queries::register_worker(&mut **tx, &config, worker, "tower-pyannote").await {
            // By this worker, as nobody else has its name: the answer was lost on the way.
            Err(sqlx::Error::Io(error)) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            registered => registered.map_err(failed),
        }
    }

    async fn keep_alive_in(
        tx: &mut Transaction<'_, Sqlite>,
        worker: &WorkerContext,
        lease: Duration,
    ) -> Result<(), InboxError> {
        match queries::keep_alive(&mut **tx, &config(lease), worker).await {
            // After a long silence another worker may have removed its name.
            Err(sqlx::Error::Io(error)) if error.kind() == ErrorKind::NotFound => {
                Self::register_in(tx, worker, lease).await?;
            }
            kept => kept.map_err(failed)?,
        }
        let silent = i64::try_from(lease.as_secs()).unwrap_or(i64::MAX);
        queries::reenqueue_orphaned(&mut **tx, silent, QUEUE, &WorkerFilter::None)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn claim_in(
        tx: &mut Transaction<'_, Sqlite>,
        worker: &WorkerContext,
    ) -> Result<Vec<Task<Vec<u8>>>, InboxError> {
        queries::fetch_next(&mut **tx, &config(Duration::ZERO), worker)
            .await
            .map_err(engine)
    }

    /// Nothing to lock: there is one writer at a time.
    async fn lock_job(_: &mut Transaction<'_, Sqlite>, _: &[u8]) -> Result<(), InboxError> {
        Ok(())
    }

    /// Nothing to lock here, either.
    async fn lock_event(_: &mut Transaction<'_, Sqlite>, _: &str) -> Result<(), InboxError> {
        Ok(())
    }

    /// Gives the space of what was removed back to the file system, a part at a time.
    async fn tidy(tx: &mut Transaction<'_, Sqlite>) -> Result<(), InboxError> {
        sqlx::query("PRAGMA incremental_vacuum(4096)")
            .execute(&mut **tx)
            .await
            .map_err(failed)?;
        Ok(())
    }
}

sql_store!(SqliteStore, Sqlite, SqliteRow, "", "");
submission_store!(SqliteStore);

/// Whether a file has the tables of an inbox; it is not changed to find out.
async fn is_inbox(path: &Path) -> Result<bool, sqlx::Error> {
    let mut file = SqliteConnectOptions::new().filename(path).connect().await?;
    let found = sqlx::query("SELECT 1 FROM sqlite_schema WHERE name = $1")
        .bind(OUR_MIGRATIONS)
        .fetch_optional(&mut file)
        .await?;
    file.close().await?;
    Ok(found.is_some())
}

async fn migrate(pool: &SqlitePool) -> Result<(), sqlx::Error> {
    let mut ours: Migrator = sqlx::migrate!("src/sqlite/migrations");
    ours.dangerous_set_table_name(OUR_MIGRATIONS);
    // Of processes that start together, one after another: sqlx has no lock for SQLite's.
    let mut tx = pool.begin_with(BEGIN).await?;
    SqliteStorage::migrations()
        .run_direct(None, &mut *tx, false)
        .await?;
    ours.run_direct(None, &mut *tx, false).await?;
    tx.commit().await
}

fn is_locked(error: &sqlx::Error) -> bool {
    // The first byte is the error, SQLITE_BUSY; the rest says more of it.
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse::<u32>().ok())
        .is_some_and(|code| code & 0xff == 5)
}

fn config(lease: Duration) -> Config {
    Config::default()
        .queue(QUEUE)
        // What waits in a worker's own buffer would be kept from all others.
        .batch_size(1)
        .heartbeat_interval(lease)
}

fn engine(error: apalis_sqlite::Error) -> InboxError {
    match error {
        apalis_sqlite::Error::Database(error) => failed(error),
        error => InboxError::because(InboxErrorKind::Store, error),
    }
}

/// A transaction that begins by reading could not wait for the writer of another process.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// There is one writer, so more commits at a time would only wait for each other.
const GROUPING: Grouping = Grouping {
    parallel: 1,
    largest: 256,
};

/// How soon another try is made to open a file that another process is opening.
const TURN: Duration = Duration::from_millis(20);

const READERS: u32 = 4;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::record::Source;
    use tower_pyannote::{WebhookEvent, event::Delivery};

    #[tokio::test]
    async fn what_is_pruned_in_one_transaction_is_bounded_in_number_and_size() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&directory.path().join("inbox.sqlite"), Missing::Made)
            .await
            .unwrap();
        // 150 small ones, then 20 of a MiB each.
        let sizes = [(150, 64), (20, 1 << 20)];
        let sizes = sizes
            .into_iter()
            .flat_map(|(count, size)| vec![size; count]);
        let mut records = Vec::new();
        for (number, size) in sizes.enumerate() {
            let mut body = format!(r#"{{"jobId":"{number}"}}"#).into_bytes();
            body.resize(size, b' ');
            let delivery = Delivery::at(SystemTime::UNIX_EPOCH);
            let event = WebhookEvent::new(Bytes::from(body), delivery).unwrap();
            records.push(Record::of(&event, Source::Delivered));
        }
        store.commit(&records).await.unwrap();
        sqlx::raw_sql("UPDATE jobs SET status = 'Done'; UPDATE pyannote_events SET finished_at = received_at + rowid")
            .execute(&store.writer)
            .await
            .unwrap();
        let mut pruned = Vec::new();
        while pruned.last() != Some(&0) {
            pruned.push(store.prune(i64::MAX).await.unwrap());
        }
        assert_eq!(pruned, [100, 66, 4, 0]);
    }
}
