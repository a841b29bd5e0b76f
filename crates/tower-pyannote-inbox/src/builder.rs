use std::{fmt, future::Future, path::Path, time::Duration};

use crate::{
    config_error::ConfigError,
    database::Database,
    error::{InboxError, InboxErrorKind},
    inbox::Inbox,
    sql::{SqlStore, prepare, session::Engine},
    store::Missing,
    trace::{TracePropagation, Traces},
};

/// Opens an [`Inbox`] with settings. [`Inbox::builder`] and [`Inbox::builder_from_pool`] create it.
///
/// # Example: a role that may not create tables
///
/// ```no_run
/// use tower_pyannote_inbox::Inbox;
///
/// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
/// // Once, as a role that may create tables:
/// Inbox::builder("postgres://owner@localhost/meetings").migrate().await?;
/// // Then, as a role that may only read and write them:
/// let inbox = Inbox::builder("postgres://server@localhost/meetings")
///     .with_migrations(false)
///     .with_pool_size(20)?
///     .open()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until it opens an inbox"]
pub struct InboxBuilder {
    target: Target,
    schema: String,
    pool_size: u32,
    acquire_timeout: Duration,
    commit_memory: usize,
    missing: Missing,
    migrations: bool,
    traces: Traces,
}

#[derive(Clone)]
pub(crate) enum Target {
    Address(String),
    #[cfg(feature = "sqlite")]
    File(std::path::PathBuf),
    #[cfg(feature = "postgres")]
    Pool(sqlx::PgPool),
}

impl InboxBuilder {
    pub(crate) fn new(target: Target) -> Self {
        Self {
            target,
            schema: SCHEMA.to_owned(),
            pool_size: 10,
            acquire_timeout: Duration::from_secs(4),
            commit_memory: COMMIT_MEMORY,
            missing: Missing::Made,
            migrations: true,
            traces: Traces::default(),
        }
    }

    /// Sets the schema of the tables in PostgreSQL. Default: `tower_pyannote`. SQLite has no schemas and ignores it.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Inbox`] unless the name consists of 1 to 63 lowercase ASCII letters, digits and underscores, and
    /// begins with a letter or an underscore.
    pub fn with_schema(mut self, name: impl Into<String>) -> Result<Self, ConfigError> {
        let name = name.into();
        let is_name = (1..=63).contains(&name.len())
            && name
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
            && !name.starts_with(|first: char| first.is_ascii_digit());
        let letters = "1 to 63 lowercase letters, digits and underscores, the first not a digit";
        demand(is_name, "schema", letters)?;
        self.schema = name;
        Ok(self)
    }

    /// Sets the largest number of connections to PostgreSQL, or of those that read from SQLite. Default: 10.
    ///
    /// SQLite has one more connection, which writes. A user's own pool keeps its own limit.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Inbox`] for less than 2, or more than 1,000.
    pub fn with_pool_size(mut self, connections: u32) -> Result<Self, ConfigError> {
        let fits = (2..=1_000).contains(&connections);
        demand(fits, "pool_size", "from 2 to 1000")?;
        self.pool_size = connections;
        Ok(self)
    }

    /// Sets how long a call waits for a connection, and `open` for a database that starts. Default: 4 s.
    ///
    /// A delivery is answered after 5 s in any case. A user's own pool keeps its own limit.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Inbox`] for less than 100 ms, or more than 60 s.
    pub fn with_acquire_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        let fits = (Duration::from_millis(100)..=Duration::from_secs(60)).contains(&timeout);
        demand(fits, "acquire_timeout", "from 100 ms to 60 s")?;
        self.acquire_timeout = timeout;
        Ok(self)
    }

    /// Sets the memory for bodies that wait for their commit or are being committed, in bytes. Default: 64 MiB.
    ///
    /// A delivery waits while this memory is in use, and is answered after 5 s in any case. A larger body is committed alone.
    /// Because the database driver copies bodies, the bodies and their copies take at most four times this memory. See
    /// [`Inbox`](Inbox#memory) for the sum.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Inbox`] for less than 1 MiB, or more than 1 GiB.
    pub fn with_commit_memory(mut self, bytes: usize) -> Result<Self, ConfigError> {
        let fits = (1 << 20..=1 << 30).contains(&bytes);
        demand(fits, "commit_memory", "from 1 MiB to 1 GiB")?;
        self.commit_memory = bytes;
        Ok(self)
    }

    /// Sets whether `open` creates the tables and brings them up to date. Default: `true`.
    ///
    /// With `false` the role needs no right to create anything; [`migrate`](Self::migrate) has to run before.
    pub fn with_migrations(mut self, migrations: bool) -> Self {
        self.migrations = migrations;
        self
    }

    /// Sets whether `open` creates an inbox if there is none. Default: `true`.
    pub fn with_creation(mut self, creation: bool) -> Self {
        self.missing = match creation {
            true => Missing::Made,
            false => Missing::Refused,
        };
        self
    }

    /// Sets how the inbox propagates traces. Default: no propagation.
    ///
    /// 1. [`Inbox::commit`] makes the current span, the span of the delivery, a child of the span of the job's submission. If the
    ///    current span has begun already, `commit` links it to the submission instead.
    /// 2. The inbox stores the context of the delivery's span with the event.
    /// 3. The first attempt of the event is a child of the delivery. Each retry begins a trace that is linked to the delivery.
    ///
    /// With propagation, the inbox reads the submission from the database before each commit, within 1 s.
    ///
    /// The inbox ignores the `traceparent` header of a delivery, because the header is not signed.
    pub fn with_trace_propagation(mut self, propagation: impl TracePropagation) -> Self {
        self.traces = Traces::new(propagation);
        self
    }

    /// Opens the inbox.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Inbox::open`], and [`InboxErrorKind::Open`] if the tables are missing or outdated and migrations
    /// are off.
    pub async fn open(self) -> Result<Inbox, InboxError> {
        let (memory, traces) = (self.commit_memory, self.traces.clone());
        let engine = within_a_minute(self.prepared()).await?;
        let inbox = Inbox::over(Database::new(SqlStore::new(engine)), memory);
        Ok(inbox.with_traces(traces))
    }

    /// Creates the tables, or brings them up to date, and opens nothing.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Inbox::open`].
    pub async fn migrate(self) -> Result<(), InboxError> {
        let all = Self {
            migrations: true,
            ..self
        };
        within_a_minute(all.prepared()).await.map(drop)
    }

    async fn prepared(self) -> Result<Engine, InboxError> {
        let engine = self.engine().await?;
        let prepared = prepare(&engine, self.missing, self.migrations).await;
        prepared.map_err(|error| error.while_opening())?;
        Ok(engine)
    }

    async fn engine(&self) -> Result<Engine, InboxError> {
        match &self.target {
            #[cfg(feature = "sqlite")]
            Target::File(path) => self.sqlite(path).await,
            #[cfg(feature = "postgres")]
            Target::Pool(pool) => Ok(Engine::Postgres(crate::postgres::Postgres::over(
                pool.clone(),
                &self.schema,
                false,
            ))),
            Target::Address(address) => match address.split_once(':') {
                Some(("sqlite", path)) => {
                    let path = path.strip_prefix("//").unwrap_or(path);
                    if let Some((_, parameters)) = path.split_once('?') {
                        return Err(unknown_parameters(parameters));
                    }
                    self.sqlite(path.as_ref()).await
                }
                Some(("postgres" | "postgresql", _)) => self.postgres(address).await,
                Some((_, rest)) if rest.starts_with("//") => {
                    Err(refused("it begins with neither sqlite:// nor postgres://"))
                }
                _ => Err(refused("a path is written sqlite://PATH")),
            },
        }
    }

    #[cfg(feature = "sqlite")]
    async fn sqlite(&self, path: &Path) -> Result<Engine, InboxError> {
        let file = crate::sqlite::SqliteFile::open(
            path,
            self.missing,
            self.acquire_timeout,
            self.pool_size,
        );
        file.await.map(Engine::Sqlite)
    }

    #[cfg(not(feature = "sqlite"))]
    async fn sqlite(&self, _: &Path) -> Result<Engine, InboxError> {
        Err(refused(
            "enable the feature `sqlite` of tower-pyannote-inbox",
        ))
    }

    #[cfg(feature = "postgres")]
    async fn postgres(&self, url: &str) -> Result<Engine, InboxError> {
        let postgres = crate::postgres::Postgres::open(
            url,
            &self.schema,
            self.acquire_timeout,
            self.pool_size,
        );
        postgres.await.map(Engine::Postgres)
    }

    #[cfg(not(feature = "postgres"))]
    async fn postgres(&self, _: &str) -> Result<Engine, InboxError> {
        Err(refused(
            "enable the feature `postgres` of tower-pyannote-inbox",
        ))
    }
}

impl fmt::Debug for InboxBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the address, which may hold a password.
        f.debug_struct("InboxBuilder")
            .field("schema", &self.schema)
            .field("pool_size", &self.pool_size)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("commit_memory", &self.commit_memory)
            .field("migrations", &self.migrations)
            .finish_non_exhaustive()
    }
}

fn demand(met: bool, setting: &'static str, demand: &'static str) -> Result<(), ConfigError> {
    if met {
        Ok(())
    } else {
        Err(ConfigError::Inbox { setting, demand })
    }
}

async fn within_a_minute<T>(
    open: impl Future<Output = Result<T, InboxError>>,
) -> Result<T, InboxError> {
    match tokio::time::timeout(OPENING, open).await {
        Ok(opened) => opened,
        Err(_) => Err(InboxError::because(
            InboxErrorKind::Open,
            "no answer within a minute",
        )),
    }
}

fn refused(why: &'static str) -> InboxError {
    InboxError::because(InboxErrorKind::Address, why)
}

/// Names the parameters without their values, which may be secrets.
fn unknown_parameters(parameters: &str) -> InboxError {
    let names = parameters
        .split('&')
        .filter_map(|parameter| parameter.split('=').next());
    let names = names.collect::<Vec<_>>().join(", ");
    InboxError::because(
        InboxErrorKind::Address,
        format!("an address of sqlite has no parameters, and this one has {names}: leave them out"),
    )
}

/// The default bytes of bodies that wait for their commit.
pub(crate) const COMMIT_MEMORY: usize = 64 << 20;

const SCHEMA: &str = "tower_pyannote";

const OPENING: Duration = Duration::from_secs(60);
