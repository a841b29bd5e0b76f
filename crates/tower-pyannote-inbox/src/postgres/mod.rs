use std::{
    collections::{HashMap, HashSet},
    io::ErrorKind,
    time::{Duration, Instant},
};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::{sleep, timeout};

use crate::{
    error::{InboxError, InboxErrorKind},
    record::{Kept, Record},
    sql::dialect::{Schema, failed},
    store::Grouping,
};

/// An inbox that many servers share.
#[derive(Debug)]
pub(crate) struct Postgres {
    pool: PgPool,
    schema: Schema,
}

impl Postgres {
    /// Connects once, so that an error says why that fails, and makes a pool.
    pub(crate) async fn open(
        url: &str,
        schema: &str,
        patience: Duration,
        connections: u32,
    ) -> Result<Self, InboxError> {
        let options = options(url)?;
        let first = first_connection(&options, patience).await?;
        // It was only to find out whether the database can be reached.
        let _ = first.close().await;
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(patience)
            // The pool's own test would wait on a dead connection until TCP gives up.
            .test_before_acquire(false)
            .before_acquire(|connection, metadata| {
                Box::pin(async move {
                    let is_fresh = metadata.idle_for < FRESH;
                    if is_fresh {
                        Ok(true)
                    } else {
                        answers(connection).await
                    }
                })
            })
            .after_release(|connection, _| Box::pin(answers(connection)))
            .connect_lazy_with(options);
        Ok(Self::over(pool, schema, is_named(url)))
    }

    pub(crate) fn over(pool: PgPool, schema: &str, is_named: bool) -> Self {
        Self {
            pool,
            schema: Schema::new(schema, is_named),
        }
    }

    pub(crate) async fn begin(
        &self,
        begin: &'static str,
    ) -> Result<Transaction<'static, sqlx::Postgres>, InboxError> {
        self.pool.begin_with(begin).await.map_err(failed)
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }
}

/// Inserts events, and returns the keys of those that were not stored yet.
pub(crate) async fn insert(
    tx: &mut Transaction<'static, sqlx::Postgres>,
    schema: &Schema,
    batch: &[Record],
) -> Result<HashSet<Vec<u8>>, InboxError> {
    // In one order everywhere, because two servers that take the same deliveries could wait for each other.
    let mut records: Vec<&Record> = batch.iter().collect();
    records.sort_by_key(|record| record.event_key);
    let added = sqlx::query_as::<_, (Vec<u8>,)>(AssertSqlSafe(schema.text(INSERT)))
        .persistent(schema.is_named)
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
        .bind(column(&records, |record| {
            record.trace.map(|trace| trace.to_string())
        }))
        .bind(column(&records, |record| &record.body[..]))
        .fetch_all(&mut **tx)
        .await
        .map_err(failed)?;
    Ok(added.into_iter().map(|(key,)| key).collect())
}

/// Reads what is stored under the keys of a batch.
pub(crate) async fn kept(
    tx: &mut Transaction<'static, sqlx::Postgres>,
    schema: &Schema,
    batch: &[Record],
) -> Result<HashMap<Vec<u8>, Kept>, InboxError> {
    let keys: Vec<&[u8]> = batch.iter().map(|record| &record.event_key[..]).collect();
    let rows: Vec<(Vec<u8>, i64, Vec<u8>, String)> =
        sqlx::query_as(AssertSqlSafe(schema.text(KEPT)))
            .persistent(schema.is_named)
            .bind(keys)
            .fetch_all(&mut **tx)
            .await
            .map_err(failed)?;
    let kept = rows
        .into_iter()
        .map(|(key, id, sha256, source)| (key, Kept { id, sha256, source }));
    Ok(kept.collect())
}

fn column<'a, T>(records: &[&'a Record], value: impl Fn(&'a Record) -> T) -> Vec<T> {
    records.iter().map(|record| value(record)).collect()
}

/// Reads an address. Nothing is sent at the start of a connection that a pooler such as PgBouncer refuses.
fn options(url: &str) -> Result<PgConnectOptions, InboxError> {
    let is_known = |name: &str| PARAMETERS.contains(&name) || name.starts_with("options[");
    if !parameters(url).all(is_known) {
        // sqlx would log the parameter with its value, which may be a secret. What follows a bare `?` in a password looks like a
        // parameter, too.
        let unknown = format!("a parameter is none of {}", PARAMETERS.join(", "));
        return Err(InboxError::because(InboxErrorKind::Address, unknown));
    }
    let options: PgConnectOptions = url
        .parse()
        .map_err(|error| InboxError::because(InboxErrorKind::Address, error))?;
    Ok(options
        .application_name("tower-pyannote")
        .extra_float_digits(None))
}

/// Whether the address sets a size for the cache of prepared statements.
fn is_named(url: &str) -> bool {
    parameters(url).any(|name| name == "statement-cache-capacity")
}

/// The names of an address' parameters.
fn parameters(url: &str) -> impl Iterator<Item = &str> {
    let (_, query) = url.split_once('?').unwrap_or_default();
    let (query, _) = query.split_once('#').unwrap_or((query, ""));
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    parameters.map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")).0)
}

/// Connects, and waits for a database that starts or has no free slot. A pool would report a timeout without its cause.
async fn first_connection(
    options: &PgConnectOptions,
    patience: Duration,
) -> Result<PgConnection, InboxError> {
    let begun = Instant::now();
    let silence = format!("no answer within {} s", patience.as_secs_f32());
    let mut why = InboxError::because(InboxErrorKind::Open, silence);
    while let Some(left) = patience.checked_sub(begun.elapsed()) {
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

/// Whether a later try to connect may succeed.
fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
        // The database has too many connections, or starts, or stops.
        sqlx::Error::Database(error) => {
            let code = error.code();
            code.is_some_and(|code| ["53300", "57P03"].contains(&&*code))
        }
        _ => false,
    }
}

/// Tests a connection; the pool closes it after an error.
async fn answers(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    match timeout(PING, connection.ping()).await {
        Ok(answer) => answer.map(|()| true),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

const INSERT: &str = "\
INSERT INTO pyannote_events (event_key, job_key, job_id, status, kind, source, sha256, body_bytes,
    received_at, signed_at, retry_number, retry_reason, traceparent, body)
SELECT * FROM UNNEST($1::bytea[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[],
    $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::text[], $14::bytea[])
ON CONFLICT (event_key) DO NOTHING RETURNING event_key";

const KEPT: &str =
    "SELECT event_key, id, sha256, source FROM pyannote_events WHERE event_key = ANY($1)";

/// A few transactions at a time, because PostgreSQL flushes those together that commit together.
pub(crate) const GROUPING: Grouping = Grouping {
    parallel: 4,
    largest: 64,
};

/// The pause before another try to connect.
const TURN: Duration = Duration::from_millis(100);

/// A connection that needs longer is too slow for a delivery, which is answered within 5 s.
const PING: Duration = Duration::from_secs(1);

/// A connection that was tested this recently is not tested again.
const FRESH: Duration = Duration::from_secs(1);

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
