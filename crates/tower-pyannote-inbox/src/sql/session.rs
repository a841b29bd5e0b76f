use sqlx::{AssertSqlSafe, FromRow};
use tokio::task;

#[cfg(feature = "postgres")]
use super::dialect::Schema;
use super::dialect::failed;
#[cfg(feature = "sqlite")]
use super::dialect::sqlite_text;
#[cfg(feature = "postgres")]
use crate::postgres::Postgres;
#[cfg(feature = "sqlite")]
use crate::sqlite::SqliteFile;
use crate::{error::InboxError, store::Grouping};

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
        self.write_with("BEGIN").await
    }

    /// Begins a transaction that writes, in PostgreSQL with a statement that may set the planner.
    pub(super) async fn write_with(&self, begin: &'static str) -> Result<Session, InboxError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(file) => {
                let _ = begin;
                Ok(Session::Sqlite(file.write().await?))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => {
                let tx = postgres.begin(begin).await?;
                Ok(Session::Postgres(tx, postgres.schema().clone()))
            }
        }
    }

    /// Begins a transaction that reads.
    pub(super) async fn read(&self) -> Result<Session, InboxError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(file) => Ok(Session::Sqlite(file.read().await?)),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => {
                let tx = postgres.begin("BEGIN").await?;
                Ok(Session::Postgres(tx, postgres.schema().clone()))
            }
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
