use super::{
    schema_error::SchemaError,
    session::{Engine, Session, Value},
};
use crate::{
    error::{InboxError, InboxErrorKind},
    store::Missing,
};

/// Brings the tables up to date, if `may_migrate`, and refuses those that this version cannot use.
pub(crate) async fn prepare(
    engine: &Engine,
    missing: Missing,
    may_migrate: bool,
) -> Result<(), InboxError> {
    let tables = engine.choose(TABLES_SQLITE, TABLES_POSTGRES);
    let migrations = [
        engine.choose(include_str!("sqlite_1.sql"), include_str!("postgres_1.sql")),
        engine.choose(include_str!("sqlite_2.sql"), include_str!("postgres_2.sql")),
        SOURCES,
        MEDIA,
        TRACES,
    ];
    let newest = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let mut session = engine.write().await?;
    let mut version = version(&mut session, tables).await?;
    if version == Some(newest) {
        return session.commit().await;
    }
    if version.is_none() && missing == Missing::Refused {
        return Err(refused(SchemaError::NoInbox));
    }
    if version > Some(newest) {
        return Err(refused(SchemaError::Newer));
    }
    if !may_migrate {
        return Err(refused(SchemaError::Outdated));
    }
    // Servers that start together: PostgreSQL fails to create the same schema twice at the same time.
    let lock = engine.choose("", LOCK_POSTGRES);
    session.script(lock).await?;
    version = self::version(&mut session, tables).await?;
    // Only if it is missing, because PostgreSQL asks for the right to create it even if it exists.
    let schemas: Option<(i64,)> = session
        .row(engine.choose(NO_SCHEMAS, SCHEMAS_POSTGRES), &[])
        .await?;
    if schemas == Some((0,)) {
        session.script("CREATE SCHEMA inbox_schema()").await?;
    }
    let done = usize::try_from(version.unwrap_or_default()).unwrap_or_default();
    for migration in migrations.iter().skip(done) {
        session.script(migration).await?;
    }
    session.run("DELETE FROM pyannote_schema", &[]).await?;
    let newest = [Value::Int(newest)];
    let note = "INSERT INTO pyannote_schema (version) VALUES ($1)";
    session.run(note, &newest).await?;
    session.commit().await
}

/// Returns the version of the tables, `None` if there are none.
async fn version(session: &mut Session, tables: &'static str) -> Result<Option<i64>, InboxError> {
    let tables: Vec<(String,)> = session.rows(tables, &[]).await?;
    let has = |table: &str| tables.iter().any(|(name,)| name == table);
    if has("_pyannote_migrations") {
        return Err(refused(SchemaError::Unreleased));
    }
    if !has("pyannote_schema") {
        return Ok(None);
    }
    let version = "SELECT CAST(version AS BIGINT) FROM pyannote_schema";
    let version: Option<(i64,)> = session.row(version, &[]).await?;
    Ok(version.map(|(version,)| version))
}

fn refused(error: SchemaError) -> InboxError {
    InboxError::because(InboxErrorKind::Open, error)
}

const TABLES_SQLITE: &str = "\
SELECT name FROM sqlite_schema WHERE type = 'table' AND name IN ('_pyannote_migrations', 'pyannote_schema')";

/// Version 3: renames the sources as [`Source`](tower_pyannote::event::Source) names them.
const SOURCES: &str = "\
UPDATE pyannote_events SET source = CASE source WHEN 'fetched' THEN 'api' ELSE 'webhook' END";

/// Version 4: adds the `media://` URL of the audio file that a job was submitted with.
const MEDIA: &str = "ALTER TABLE pyannote_submissions ADD COLUMN media TEXT";

/// Version 5: adds the contexts of the spans in which a job was submitted and an event was delivered.
const TRACES: &str = "\
ALTER TABLE pyannote_submissions ADD COLUMN traceparent TEXT;
ALTER TABLE pyannote_events ADD COLUMN traceparent TEXT";

/// The name of our table is in two parts, because [`Session`] qualifies it.
const TABLES_POSTGRES: &str = "\
SELECT CAST(tablename AS TEXT) FROM pg_catalog.pg_tables
WHERE '\"' || schemaname || '\"' = 'inbox_schema()' AND tablename IN ('_pyannote' || '_migrations', 'pyannote' || '_schema')";

const LOCK_POSTGRES: &str = "SELECT pg_advisory_xact_lock(hashtext('tower-pyannote'))";

const SCHEMAS_POSTGRES: &str =
    "SELECT COUNT(*) FROM pg_catalog.pg_namespace WHERE '\"' || nspname || '\"' = 'inbox_schema()'";

const NO_SCHEMAS: &str = "SELECT 1";
