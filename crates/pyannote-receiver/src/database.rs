use pyannote_cli::Failure;
use tower_pyannote_inbox::{ConfigError, Inbox, InboxBuilder, InboxError};

use crate::{error::in_full, otel::Traces, secrets::Secrets, settings::Database};

/// The inbox's database, from the settings.
pub(crate) struct Place {
    builder: InboxBuilder,
    /// The setting that names the database, for errors. Never the URL, which may contain a password.
    setting: String,
    is_local: bool,
}

/// What is found in the place of an inbox.
pub(crate) enum Existing {
    Open(Inbox),
    Missing,
    /// An earlier version made the tables.
    Outdated,
}

impl Place {
    pub(crate) fn new(settings: &Database, secrets: &Secrets) -> Result<Self, Failure> {
        let url = secrets.database_url()?;
        let (builder, setting, is_local) = match &url {
            Some(url) => {
                let text = url.as_text()?;
                let is_local = !text.starts_with("postgres");
                (Inbox::builder(text), url.place().to_owned(), is_local)
            }
            None => {
                let directory = &settings.data_dir;
                let setting = format!("--data-dir {}", directory.display());
                (
                    Inbox::builder_from_path(directory.join(FILE)),
                    setting,
                    true,
                )
            }
        };
        let of = |flag| move |error: ConfigError| Failure::usage(format!("{flag}: {error}"));
        let builder = builder
            .with_migrations(settings.migrate())
            .with_schema(&settings.schema)
            .map_err(of("--database-schema"))?
            .with_pool_size(settings.connections)
            .map_err(of("--database-connections"))?
            .with_acquire_timeout(settings.timeout)
            .map_err(of("--database-timeout"))?;
        Ok(Self {
            builder,
            setting,
            is_local,
        })
    }

    /// Lets the inbox continue traces, if they are on.
    pub(crate) fn with_traces(mut self, traces: &Traces) -> Self {
        self.builder = traces.propagate(self.builder);
        self
    }

    /// Opens the inbox. Creates it if it does not exist.
    pub(crate) async fn open(self) -> Result<Inbox, Failure> {
        let opened = self.builder.open().await;
        opened.map_err(|error| failure(&self.setting, &error))
    }

    /// Opens an inbox, and neither creates nor migrates it.
    pub(crate) async fn existing(self) -> Result<Existing, Failure> {
        let builder = self.builder.with_creation(false).with_migrations(false);
        match builder.open().await {
            Ok(inbox) => Ok(Existing::Open(inbox)),
            Err(error) if error.is_missing() => Ok(Existing::Missing),
            Err(error) if error.is_outdated() => Ok(Existing::Outdated),
            Err(error) => Err(failure(&self.setting, &error)),
        }
    }

    /// Opens an inbox that exists. An operator who mistypes a path must not create an empty inbox there.
    pub(crate) async fn open_existing(self) -> Result<Inbox, Failure> {
        let opened = self.builder.with_creation(false).open().await;
        opened.map_err(|error| {
            let said = failure(&self.setting, &error);
            match error.is_missing() {
                true => Failure::run(format!(
                    "{said}; correct the setting, or create an inbox with `pyannote-receiver inbox migrate`"
                )),
                false => said,
            }
        })
    }

    /// Creates the tables, or brings them up to date.
    pub(crate) async fn migrate(self) -> Result<(), Failure> {
        let migrated = self.builder.migrate().await;
        migrated.map_err(|error| failure(&self.setting, &error))
    }

    /// Returns whether other machines have databases of their own, because this one is a file.
    pub(crate) fn is_local(&self) -> bool {
        self.is_local
    }

    pub(crate) fn setting(&self) -> &str {
        &self.setting
    }
}

fn failure(setting: &str, error: &InboxError) -> Failure {
    Failure::run(format!("{setting}: {}", in_full(error)))
}

const FILE: &str = "inbox.sqlite";
