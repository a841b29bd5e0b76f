#[cfg(feature = "sqlite")]
use std::path::Path;

#[cfg(doc)]
use crate::error::InboxErrorKind;
use crate::{
    builder::{InboxBuilder, Target},
    error::InboxError,
    inbox::Inbox,
};

impl Inbox {
    /// Creates a builder for the inbox at an address, as [`open`](Self::open) takes it.
    pub fn builder(address: impl Into<String>) -> InboxBuilder {
        InboxBuilder::new(Target::Address(address.into()))
    }

    /// Creates a builder for the inbox in an SQLite file, as [`sqlite`](Self::sqlite) takes it.
    #[cfg(feature = "sqlite")]
    pub fn builder_from_path(path: impl AsRef<Path>) -> InboxBuilder {
        InboxBuilder::new(Target::File(path.as_ref().to_owned()))
    }

    /// Creates a builder for an inbox over a pool of your own.
    #[cfg(feature = "postgres")]
    pub fn builder_from_pool(pool: sqlx::PgPool) -> InboxBuilder {
        InboxBuilder::new(Target::Pool(pool))
    }

    /// Opens the inbox in the PostgreSQL database of a pool of your own, with the builder's default settings.
    ///
    /// # Errors
    ///
    /// Returns [`InboxErrorKind::Open`] if the tables cannot be created or brought up to date.
    #[cfg(feature = "postgres")]
    pub async fn from_pool(pool: sqlx::PgPool) -> Result<Self, InboxError> {
        Self::builder_from_pool(pool).open().await
    }

    /// Opens the inbox at an address: `sqlite://` and a path, or `postgres://user:password@host/database`.
    ///
    /// A path is taken as it is, without parameters after a `?`. Creates the inbox if there is none.
    ///
    /// # Errors
    ///
    /// Returns [`InboxErrorKind::Address`] for any other address, for an unknown parameter, or if the feature that the address
    /// needs is off, and [`InboxErrorKind::Open`] if the database cannot be opened or brought up to date.
    pub async fn open(address: &str) -> Result<Self, InboxError> {
        Self::builder(address).open().await
    }

    /// Opens an existing inbox, as [`open`](Self::open) does, and creates none.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`open`](Self::open), and [`InboxErrorKind::Open`] if there is no inbox at the address. No file
    /// and no table is created then.
    pub async fn open_existing(address: &str) -> Result<Self, InboxError> {
        Self::builder(address).with_creation(false).open().await
    }

    /// Opens the inbox in an SQLite file, and creates the file and its folder if there is none.
    ///
    /// The file is in WAL mode with `synchronous` at `FULL`. It needs a local disk; a `-wal` and a `-shm` file beside it belong
    /// to it. If the file or its `-wal` file is removed, replaced or truncated while the inbox is open, every commit fails
    /// until the inbox is opened again.
    ///
    /// # Errors
    ///
    /// Returns [`InboxErrorKind::Open`] if the file cannot be opened, created or brought up to date.
    #[cfg(feature = "sqlite")]
    pub async fn sqlite(path: impl AsRef<Path>) -> Result<Self, InboxError> {
        Self::builder_from_path(path).open().await
    }

    /// Opens the inbox in an existing SQLite file, as [`sqlite`](Self::sqlite) does, and creates none.
    ///
    /// # Errors
    ///
    /// Returns [`InboxErrorKind::Open`] if there is no file, or no inbox in it, or if the file cannot be opened or brought up
    /// to date.
    #[cfg(feature = "sqlite")]
    pub async fn sqlite_existing(path: impl AsRef<Path>) -> Result<Self, InboxError> {
        let builder = Self::builder_from_path(path);
        builder.with_creation(false).open().await
    }

    /// Opens the inbox in a PostgreSQL database, and creates its tables if there are none.
    ///
    /// The tables are in the schema `tower_pyannote`. No extension is needed. The address may name a pooler such as PgBouncer, in
    /// session or transaction mode. If the database starts, or has no free connection, the call waits for 4 s.
    ///
    /// Statements are not named, because a pooler may give each transaction another server. Without a pooler,
    /// `statement-cache-capacity=100` in the address saves a round trip for each statement.
    ///
    /// `sslmode=verify-full` and `sslrootcert=PATH` in the address demand TLS with a certificate of that authority.
    ///
    /// # Errors
    ///
    /// Returns [`InboxErrorKind::Address`] if the address cannot be parsed or has an unknown parameter, and
    /// [`InboxErrorKind::Open`] if the database cannot be reached or brought up to date.
    #[cfg(feature = "postgres")]
    pub async fn postgres(url: &str) -> Result<Self, InboxError> {
        Self::builder(url).open().await
    }
}
