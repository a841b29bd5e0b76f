mod file;

use std::{
    collections::HashSet,
    path::Path,
    time::{Duration, SystemTime},
};

use apalis_core::{backend::WorkerFilter, task::Task, worker::context::WorkerContext};
use apalis_sqlite::{Config, SqliteStorage, queries};
use sqlx::{
    Row, Sqlite, SqlitePool, Transaction,
    migrate::Migrator,
    sqlite::{
        SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow,
        SqliteSynchronous,
    },
};
use ulid::Ulid;

use super::{
    Commit, InboxEntry, InboxError, InboxErrorKind, InboxFilter, InboxState, InboxStats, Replay,
    committer::Grouping,
    record::{Record, Stored, job_key, kind, nanoseconds, seconds, seconds_from_now, time},
    sql::{
        BUSY, FORGOTTEN, FORGOTTEN_AT_ONCE, PATIENCE, REMEMBERED, failed, sql_store, state, task,
        unsigned,
    },
    store::{Claim, End, OUR_MIGRATIONS, QUEUE, Settled, Start, Store, StoreFuture},
    submissions::submission_store,
};
#[cfg(feature = "client")]
use super::submissions::received;

/// An inbox in one file.
#[derive(Debug)]
pub(super) struct SqliteStore {
    /// One connection: SQLite has one writer at a time, and those who wait for it here are served in turn.
    writer: SqlitePool,
    readers: SqlitePool,
    file: file::OpenFile,
}

impl SqliteStore {
    /// Opens a file, and makes it, with its folder, if it is not there.
    pub(super) async fn open(path: &Path) -> Result<Self, InboxError> {
        if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
            std::fs::create_dir_all(folder)
                .map_err(|error| InboxError::because(InboxErrorKind::Open, error))?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE);
        let pool = |size| {
            SqlitePoolOptions::new()
                .max_connections(size)
                .acquire_timeout(PATIENCE)
        };
        let opened = |error| InboxError::because(InboxErrorKind::Open, error);
        let writer = pool(1)
            .connect_with(options.clone())
            .await
            .map_err(opened)?;
        migrate(&writer).await.map_err(opened)?;
        let readers = pool(READERS).connect_lazy_with(options.create_if_missing(false));
        let file = file::OpenFile::at(path)
            .map_err(|error| InboxError::because(InboxErrorKind::Open, error))?;
        Ok(Self {
            writer,
            readers,
            file,
        })
    }

    async fn write(&self) -> Result<Transaction<'static, Sqlite>, InboxError> {
        self.file.is_in_place()?;
        match self.writer.begin_with(BEGIN).await {
            // After some errors, a full disk among them, SQLite rolls back by itself; sqlx then fails to, and goes on to
            // count the transaction as open.
            Err(sqlx::Error::InvalidSavePointStatement) => {
                let stuck = self.writer.acquire().await.map_err(failed)?;
                stuck.close().await.map_err(failed)?;
                self.writer.begin_with(BEGIN).await.map_err(failed)
            }
            begun => begun.map_err(failed),
        }
    }

    fn read(&self) -> &SqlitePool {
        &self.readers
    }

    async fn commit_in(
        tx: &mut Transaction<'_, Sqlite>,
        batch: &[Record],
    ) -> Result<Vec<Commit>, InboxError> {
        let mut commits = Vec::with_capacity(batch.len());
        let mut tasks = Vec::new();
        for record in batch {
            let id = Ulid::generate();
            let added = sqlx::query(
                "INSERT INTO pyannote_events (id, event_key, job_key, job_id, status, kind, source, sha256, \
                 body_bytes, received_at, signed_at, retry_number, retry_reason, body) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
                 ON CONFLICT (event_key) DO NOTHING",
            )
            .bind(id.to_string())
            .bind(&record.event_key[..])
            .bind(&record.job_key[..])
            .bind(&record.job_id)
            .bind(&record.status)
            .bind(record.kind)
            .bind(record.source.as_str())
            .bind(&record.sha256[..])
            .bind(record.body_bytes())
            .bind(record.received_at)
            .bind(record.signed_at)
            .bind(record.retry_number)
            .bind(&record.retry_reason)
            .bind(&record.body[..])
            .execute(&mut **tx)
            .await
            .map_err(failed)?
            .rows_affected();
            if added == 1 {
                tasks.push(task(id));
                commits.push(Commit::New);
            } else {
                commits.push(Self::repeated(tx, record).await?);
            }
        }
        queries::push_tasks(&mut **tx, QUEUE, &tasks)
            .await
            .map_err(engine)?;
        Ok(commits)
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
        queries::register_worker(&mut **tx, &config(lease), worker, "tower-pyannote")
            .await
            .map_err(failed)
    }

    async fn keep_alive_in(
        tx: &mut Transaction<'_, Sqlite>,
        worker: &WorkerContext,
        lease: Duration,
    ) -> Result<(), InboxError> {
        let config = config(lease);
        queries::keep_alive(&mut **tx, &config, worker)
            .await
            .map_err(failed)?;
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

async fn migrate(pool: &SqlitePool) -> Result<(), sqlx::Error> {
    let mut ours: Migrator = sqlx::migrate!("src/inbox/sqlite/migrations");
    ours.dangerous_set_table_name(OUR_MIGRATIONS);
    SqliteStorage::migrations().run(pool).await?;
    ours.run(pool).await?;
    Ok(())
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
pub(super) const GROUPING: Grouping = Grouping {
    parallel: 1,
    largest: 256,
};

const READERS: u32 = 4;
