//! What differs between the statements of the two databases.

use crate::error::{InboxError, InboxErrorKind};

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
