use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args, builder::BoolishValueParser};

use crate::settings::values::{ArchiveMetadata, duration};

// The inbox's database, and the directory around it.
#[derive(Args)]
#[command(next_help_heading = "Storage")]
pub(crate) struct Database {
    /// The directory of the archive and of the SQLite inbox; created if it does not exist
    #[arg(
        id = "archive.directory",
        long = "data-dir",
        global = true,
        env = "WEBHOOK_SERVER_DATA_DIR",
        value_name = "DIR",
        default_value = "data/interim"
    )]
    pub(crate) data_dir: PathBuf,

    /// The store of the archive: file:///DIRECTORY, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX; the
    /// environment has the credentials, as AWS_*, GOOGLE_* or AZURE_* [default: the data directory]
    #[arg(
        id = "archive.url",
        long = "archive",
        global = true,
        env = "WEBHOOK_SERVER_ARCHIVE",
        value_name = "URL"
    )]
    pub(crate) archive: Option<String>,

    /// Where the archive keeps the retry, the time of receipt, the source and the reference of each event: as attributes of
    /// its object in a remote store, in a file .meta/NAME.meta.json, or nowhere
    #[arg(
        id = "archive.metadata",
        long = "archive-metadata",
        global = true,
        env = "WEBHOOK_SERVER_ARCHIVE_METADATA",
        value_name = "PLACE",
        value_enum,
        default_value_t = ArchiveMetadata::Attributes
    )]
    pub(crate) archive_metadata: ArchiveMetadata,

    /// The inbox's database: sqlite://FILE, or postgres://USER:PASSWORD@HOST/DATABASE, which several servers can share
    /// [default: inbox.sqlite in the data directory]
    #[arg(
        id = "database.url",
        long = "database-url",
        global = true,
        env = "DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) url: Option<String>,

    /// A file that contains the URL of the database
    #[arg(
        id = "database.url_file",
        long = "database-url-file",
        global = true,
        env = "DATABASE_URL_FILE",
        value_name = "FILE"
    )]
    pub(crate) url_file: Option<PathBuf>,

    /// The schema of the tables in PostgreSQL
    #[arg(
        id = "database.schema",
        long = "database-schema",
        global = true,
        env = "WEBHOOK_SERVER_DATABASE_SCHEMA",
        value_name = "NAME",
        default_value = "tower_pyannote"
    )]
    pub(crate) schema: String,

    /// The maximum number of connections to the database
    #[arg(
        id = "database.connections",
        long = "database-connections",
        global = true,
        env = "WEBHOOK_SERVER_DATABASE_CONNECTIONS",
        value_name = "COUNT",
        default_value_t = 10
    )]
    pub(crate) connections: u32,

    /// How long to wait for a free connection to the database
    #[arg(
        id = "database.timeout",
        long = "database-timeout",
        global = true,
        env = "WEBHOOK_SERVER_DATABASE_TIMEOUT",
        value_name = "DURATION",
        default_value = "4s",
        value_parser = duration
    )]
    pub(crate) timeout: Duration,

    /// Create the tables, or bring them up to date, at start
    #[arg(
        id = "database.migrate",
        long = "migrate",
        global = true,
        env = "WEBHOOK_SERVER_MIGRATE",
        value_name = "BOOL",
        hide_possible_values = true,
        default_value_t = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::Set
    )]
    migrate: bool,

    /// The same as --migrate=false: run `inbox migrate` first
    #[arg(long, global = true)]
    no_migrate: bool,
}

impl Database {
    pub(crate) fn migrate(&self) -> bool {
        self.migrate && !self.no_migrate
    }
}
