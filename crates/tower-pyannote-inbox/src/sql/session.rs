use sqlx::{AssertSqlSafe, FromRow};
use tokio::task;

#[cfg(feature = "postgres")]
use crate::postgres::Postgres;
#[cfg(feature = "sqlite")]
use crate::sqlite::SqliteFile;
use crate::{
    error::{InboxError, InboxErrorKind},
    store::Grouping,
};

/// An open database.
#[derive(Debug)]
pub(crate) enum Engine {
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteFile),
    #[cfg(feature = "postgres")]
    Postgres(Postgres),
}

impl Engine {
    /// Begins a transaction that writes.
    pub(super) async fn write(&self) -> Result<Session, InboxError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(file) => Ok(Session::Sqlite(file.write().await?)),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.begin().await,
        }
    }

    /// Begins a transaction that reads.
    pub(super) async fn read(&self) -> Result<Session, InboxError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(file) => Ok(Session::Sqlite(file.read().await?)),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.begin().await,
        }
    }

    pub(super) fn grouping(&self) -> Grouping {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => crate::sqlite::GROUPING,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => crate::postgres::GROUPING,
        }
    }

    /// Chooses between two statements that do the same, the first in SQLite and the second in PostgreSQL.
    pub(super) fn choose(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => {
                let _ = postgres;
                sqlite
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => {
                let _ = sqlite;
                postgres
            }
        }
    }
}

/// A transaction, which is rolled back unless it is committed.
///
/// Always a transaction, because a pooler such as PgBouncer may give each statement outside of one another server.
pub(crate) enum Session {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>, Schema),
}

impl Session {
    /// Runs a statement and returns the number of rows that it changed.
    pub(crate) async fn run(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, InboxError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(tx) => {
                let query = sqlite_query(sql, values).execute(&mut **tx).await;
                query.map(|done| done.rows_affected())
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(tx, schema) => {
                let query = postgres_query(schema, sql, values).execute(&mut **tx).await;
                query.map(|done| done.rows_affected())
            }
        }
        .map_err(failed)
    }

    /// Runs a statement and returns its rows, each an error if it cannot be decoded.
    pub(crate) async fn try_rows<T: Columns>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Result<T, InboxError>>, InboxError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(tx) => {
                let rows = sqlite_query(sql, values).fetch_all(&mut **tx).await;
                let rows = rows.map_err(failed)?;
                let decoded = rows.iter().map(|row| T::from_row(row).map_err(failed));
                Ok(decoded.collect())
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(tx, schema) => {
                let rows = postgres_query(schema, sql, values)
                    .fetch_all(&mut **tx)
                    .await;
                let rows = rows.map_err(failed)?;
                let decoded = rows.iter().map(|row| T::from_row(row).map_err(failed));
                Ok(decoded.collect())
            }
        }
    }

    /// Runs a statement and returns its rows.
    pub(crate) async fn rows<T: Columns>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, InboxError> {
        self.try_rows(sql, values).await?.into_iter().collect()
    }

    /// Runs a statement and returns its first row, if it has one.
    pub(crate) async fn row<T: Columns>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<T>, InboxError> {
        let mut rows = self.try_rows(sql, values).await?.into_iter();
        rows.next().transpose()
    }

    /// Runs statements without values, if there are any.
    pub(super) async fn script(&mut self, sql: &'static str) -> Result<(), InboxError> {
        if sql.is_empty() {
            return Ok(());
        }
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(tx) => {
                let script = AssertSqlSafe(sqlite_text(sql).into_owned());
                sqlx::raw_sql(script).execute(&mut **tx).await.map(drop)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(tx, schema) => {
                let script = AssertSqlSafe(schema.text(sql));
                sqlx::raw_sql(script).execute(&mut **tx).await.map(drop)
            }
        }
        .map_err(failed)
    }

    pub(crate) async fn commit(self) -> Result<(), InboxError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(tx) => tx.commit().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(tx, _) => tx.commit().await,
        }
        .map_err(failed)?;
        // sqlx returns the connection in a task that runs next on this thread. A handler that blocks the thread must not run
        // before it, because SQLite has one writer.
        task::yield_now().await;
        Ok(())
    }
}

/// A value of a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Int(i64),
    MaybeInt(Option<i64>),
    Text(&'a str),
    MaybeText(Option<&'a str>),
    Bytes(&'a [u8]),
    Bool(bool),
    /// An array; SQLite has none and takes JSON.
    Ids(&'a [i64]),
}

/// A row that both databases can decode.
pub(crate) trait Columns: SqliteColumns + PostgresColumns + Send {}

impl<T: SqliteColumns + PostgresColumns + Send> Columns for T {}

#[cfg(feature = "sqlite")]
pub(crate) trait SqliteColumns: for<'r> FromRow<'r, sqlx::sqlite::SqliteRow> {}

#[cfg(feature = "sqlite")]
impl<T: for<'r> FromRow<'r, sqlx::sqlite::SqliteRow>> SqliteColumns for T {}

#[cfg(not(feature = "sqlite"))]
pub(crate) trait SqliteColumns {}

#[cfg(not(feature = "sqlite"))]
impl<T> SqliteColumns for T {}

#[cfg(feature = "postgres")]
pub(crate) trait PostgresColumns: for<'r> FromRow<'r, sqlx::postgres::PgRow> {}

#[cfg(feature = "postgres")]
impl<T: for<'r> FromRow<'r, sqlx::postgres::PgRow>> PostgresColumns for T {}

#[cfg(not(feature = "postgres"))]
pub(crate) trait PostgresColumns {}

#[cfg(not(feature = "postgres"))]
impl<T> PostgresColumns for T {}

/// How statements are sent to PostgreSQL.
#[cfg(feature = "postgres")]
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    /// The quoted name of the schema that holds the tables.
    name: std::sync::Arc<str>,
    /// Whether statements get a name, so that they are prepared once for a connection. A pooler may give the next transaction
    /// another server, which does not know the name.
    pub(crate) is_named: bool,
}

#[cfg(feature = "postgres")]
impl Schema {
    pub(crate) fn new(name: &str, is_named: bool) -> Self {
        Self {
            name: format!("\"{name}\"").into(),
            is_named,
        }
    }

    /// Qualifies each table, because a pooler may drop a `search_path`: all names of tables begin with `pyannote_`.
    pub(crate) fn text(&self, sql: &str) -> String {
        sql.replace("pyannote_", &format!("{}.pyannote_", self.name))
            .replace("inbox_schema()", &self.name)
            .replace("now_ns()", POSTGRES_NOW)
    }
}

/// Translates the two words of PostgreSQL that shared statements use and SQLite lacks.
#[cfg(feature = "sqlite")]
pub(crate) fn sqlite_text(sql: &'static str) -> std::borrow::Cow<'static, str> {
    use std::borrow::Cow;

    if !sql.contains("now_ns()") && !sql.contains("= ANY") {
        return Cow::Borrowed(sql);
    }
    let mut text = sql.replace("now_ns()", SQLITE_NOW);
    for value in ["$1", "$2"] {
        let any = format!("= ANY({value})");
        text = text.replace(&any, &format!("IN (SELECT value FROM json_each({value}))"));
    }
    Cow::Owned(text)
}

#[cfg(feature = "sqlite")]
fn sqlite_query<'q>(
    sql: &'static str,
    values: &[Value<'_>],
) -> sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
    let query = sqlx::query(AssertSqlSafe(sqlite_text(sql)));
    values.iter().fold(query, |query, value| match *value {
        Value::Int(value) => query.bind(value),
        Value::MaybeInt(value) => query.bind(value),
        Value::Text(value) => query.bind(value.to_owned()),
        Value::MaybeText(value) => query.bind(value.map(str::to_owned)),
        Value::Bytes(value) => query.bind(value.to_vec()),
        Value::Bool(value) => query.bind(value),
        Value::Ids(ids) => query.bind(format!("{ids:?}")),
    })
}

#[cfg(feature = "postgres")]
fn postgres_query<'q>(
    schema: &Schema,
    sql: &'static str,
    values: &[Value<'_>],
) -> sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments> {
    let query = sqlx::query(AssertSqlSafe(schema.text(sql))).persistent(schema.is_named);
    values.iter().fold(query, |query, value| match *value {
        Value::Int(value) => query.bind(value),
        Value::MaybeInt(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::MaybeText(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
        Value::Bool(value) => query.bind(value),
        Value::Ids(ids) => query.bind(ids.to_vec()),
    })
}

pub(crate) fn failed(error: sqlx::Error) -> InboxError {
    let kind = match error {
        sqlx::Error::PoolTimedOut => InboxErrorKind::Timeout,
        _ => InboxErrorKind::Store,
    };
    InboxError::because(kind, error)
}

/// Nanoseconds since 1970, to the millisecond.
#[cfg(feature = "sqlite")]
const SQLITE_NOW: &str = "(CAST(unixepoch('subsec') * 1000 AS INTEGER) * 1000000)";

/// Nanoseconds since 1970 by the server's clock, so that the clocks of the workers' machines do not matter.
#[cfg(feature = "postgres")]
const POSTGRES_NOW: &str =
    "(CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) * 1000)";
