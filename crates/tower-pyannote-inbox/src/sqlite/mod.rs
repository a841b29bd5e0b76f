mod file;

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions, Connection, QueryBuilder, Row, Sqlite, SqlitePool, Transaction,
    sqlite::{
        SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions,
        SqliteSynchronous,
    },
};
use tokio::time::sleep;

use self::file::{Damage, OpenFile, Wal};
use crate::{
    error::{InboxError, InboxErrorKind},
    record::{Kept, Record},
    sql::{dialect::failed, schema_error::SchemaError},
    store::{Grouping, Missing},
};

/// An inbox in one file.
#[derive(Debug)]
pub(crate) struct SqliteFile {
    /// One connection: SQLite has one writer at a time, and the pool serves its callers in turn.
    writer: SqlitePool,
    readers: SqlitePool,
    file: OpenFile,
}

impl SqliteFile {
    /// Opens a file. If there is none, makes it, with its folder, or fails.
    pub(crate) async fn open(
        path: &Path,
        missing: Missing,
        patience: Duration,
        readers: u32,
    ) -> Result<Self, InboxError> {
        let unopened = |error| InboxError::because(InboxErrorKind::Open, error);
        let not_there = |error| InboxError::because(InboxErrorKind::Open, error);
        match missing {
            Missing::Made => {
                if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
                    fs::create_dir_all(folder).map_err(not_there)?;
                }
            }
            Missing::Refused => {
                fs::metadata(path).map_err(not_there)?;
                if !is_inbox(path).await.map_err(unopened)? {
                    let error = SchemaError::NoInbox;
                    return Err(InboxError::because(InboxErrorKind::Open, error));
                }
            }
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(missing == Missing::Made)
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // SQLite keeps what it needs to undo a failed statement in memory, not in a file.
            .pragma("temp_store", "memory")
            .busy_timeout(patience);
        let pool = |size| {
            SqlitePoolOptions::new()
                .max_connections(size)
                .acquire_timeout(patience)
                // A connection to a file does not go away, and each test would be a way to SQLite's thread and back.
                .test_before_acquire(false)
        };
        let wal = Arc::new(Wal::beside(path));
        let opened_wal = Arc::clone(&wal);
        let writer_options = pool(1)
            // SQLite removes the -wal file with the last connection.
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
                // The first process changes the journal's mode, and SQLite does not wait for that.
                Err(error) if is_locked(&error) && begun.elapsed() < patience => {
                    sleep(TURN).await;
                }
                connected => break connected.map_err(unopened)?,
            }
        };
        if missing == Missing::Made {
            flush_folders(path);
        }
        let readers = pool(readers).connect_lazy_with(options.create_if_missing(false));
        let file = OpenFile::of(wal).map_err(not_there)?;
        Ok(Self {
            writer,
            readers,
            file,
        })
    }

    pub(crate) async fn write(&self) -> Result<Transaction<'static, Sqlite>, InboxError> {
        let tx = self.begin().await?;
        let Err(damage) = self.file.check().await else {
            return Ok(tx);
        };
        tx.rollback().await.map_err(failed)?;
        self.mend(damage).await?;
        self.begin().await
    }

    pub(crate) async fn read(&self) -> Result<Transaction<'static, Sqlite>, InboxError> {
        self.readers.begin().await.map_err(failed)
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, InboxError> {
        match self.writer.begin_with(BEGIN).await {
            // After some errors, a full disk among them, SQLite rolls back by itself. sqlx then fails to roll back, and counts
            // the transaction as open from then on.
            Err(sqlx::Error::InvalidSavePointStatement) => {
                // Before SQLite makes another -wal file.
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

    /// Copies what can be saved into the database's file. Returns an error unless the files are sound again.
    async fn mend(&self, damage: Damage) -> Result<(), InboxError> {
        let because = |why| Err(InboxError::because(InboxErrorKind::Store, why));
        match damage {
            Damage::Other(error) => Err(error),
            // SQLite has the file open until the process ends, and copies out of it what was acknowledged.
            Damage::WalRemoved => {
                self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)").await?;
                because("the database's -wal file was removed: restart to make another")
            }
            // A checkpoint fails if the lost part was not copied yet. Once all is copied, SQLite restarts the file.
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

    /// Returns 0, or 1 if other connections kept the checkpoint from its end.
    async fn checkpoint(&self, checkpoint: &'static str) -> Result<i64, InboxError> {
        let mut writer = self.writer.acquire().await.map_err(failed)?;
        let done = sqlx::query(checkpoint).fetch_one(&mut *writer).await;
        done.and_then(|row| row.try_get(0)).map_err(failed)
    }
}

/// Inserts events and their bodies, and returns the keys of those that were not stored yet.
pub(crate) async fn insert(
    tx: &mut Transaction<'static, Sqlite>,
    batch: &[Record],
) -> Result<HashSet<Vec<u8>>, InboxError> {
    // In one statement, because each is a way to SQLite's thread and back.
    let mut insert = QueryBuilder::new(INSERT);
    insert.push_values(batch, |mut row, record| {
        row.push_bind(&record.event_key[..])
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
            .push_bind(record.trace.map(|trace| trace.to_string()));
    });
    insert.push(" ON CONFLICT (event_key) DO NOTHING RETURNING id, event_key");
    let added = insert.build_query_as::<(i64, Vec<u8>)>();
    let added = added.fetch_all(&mut **tx).await.map_err(failed)?;
    if added.is_empty() {
        return Ok(HashSet::new());
    }
    let mut bodies: HashMap<_, _> = batch
        .iter()
        .rev()
        .map(|record| (&record.event_key[..], &record.body))
        .collect();
    let bodies = added
        .iter()
        .filter_map(|(id, key)| Some((*id, bodies.remove(&key[..])?)));
    let mut insert = QueryBuilder::new("INSERT INTO pyannote_bodies (event_id, body) ");
    insert.push_values(bodies, |mut row, (id, body)| {
        row.push_bind(id).push_bind(&body[..]);
    });
    insert.build().execute(&mut **tx).await.map_err(failed)?;
    Ok(added.into_iter().map(|(_, key)| key).collect())
}

/// Reads what is stored under the keys of a batch.
pub(crate) async fn kept(
    tx: &mut Transaction<'static, Sqlite>,
    batch: &[Record],
) -> Result<HashMap<Vec<u8>, Kept>, InboxError> {
    let mut select = QueryBuilder::new(KEPT);
    let mut keys = select.separated(", ");
    for record in batch {
        keys.push_bind(&record.event_key[..]);
    }
    select.push(")");
    let rows = select.build_query_as::<(Vec<u8>, i64, Vec<u8>, String)>();
    let rows = rows.fetch_all(&mut **tx).await.map_err(failed)?;
    let kept = rows
        .into_iter()
        .map(|(key, id, sha256, source)| (key, Kept { id, sha256, source }));
    Ok(kept.collect())
}

/// Flushes the folders above a file, because a loss of power may remove a new folder with everything in it.
///
/// All folders are flushed, because a process may have been killed after it made one and before it flushed it. Errors are
/// ignored, as in SQLite: some file systems cannot flush a folder, and a folder that cannot be opened was not made here.
fn flush_folders(path: &Path) {
    let Ok(path) = std::path::absolute(path) else {
        return;
    };
    for folder in path.ancestors().skip(1) {
        let _ = fs::File::open(folder).and_then(|folder| folder.sync_all());
    }
}

/// Whether a file has the tables of an inbox. The file is not changed.
async fn is_inbox(path: &Path) -> Result<bool, sqlx::Error> {
    let mut file = SqliteConnectOptions::new().filename(path).connect().await?;
    let tables =
        "SELECT 1 FROM sqlite_schema WHERE name IN ('_pyannote_migrations', 'pyannote_schema')";
    let found = sqlx::query(tables).fetch_optional(&mut file).await?;
    file.close().await?;
    Ok(found.is_some())
}

fn is_locked(error: &sqlx::Error) -> bool {
    // The first byte is the error, SQLITE_BUSY; the rest says more of it.
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse::<u32>().ok())
        .is_some_and(|code| code & 0xff == 5)
}

const INSERT: &str = "\
INSERT INTO pyannote_events (event_key, job_key, job_id, status, kind, source, sha256, body_bytes,
    received_at, signed_at, retry_number, retry_reason, traceparent) ";

const KEPT: &str = "SELECT event_key, id, sha256, source FROM pyannote_events WHERE event_key IN (";

/// A transaction that begins with a read could not wait for the writer of another process.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// There is one writer, so that transactions at the same time would wait for each other.
pub(crate) const GROUPING: Grouping = Grouping {
    parallel: 1,
    largest: 256,
};

/// The pause before another try to open a file that another process is opening.
const TURN: Duration = Duration::from_millis(20);
