use std::path::Path;

use pyannote_cli::Failure;
use tower_pyannote_inbox::{Inbox, InboxError};

use crate::error::in_full;

/// Opens the inbox at the address, or in the data directory if there is none. Creates it if it does not exist.
pub(crate) async fn open(address: Option<&str>, data_dir: &Path) -> Result<Inbox, Failure> {
    let opened = match address {
        Some(address) => Inbox::open(address).await,
        None => Inbox::sqlite(data_dir.join(FILE)).await,
    };
    opened.map_err(|error| failure(&error, address, data_dir))
}

/// Opens an inbox that exists. An operator who mistypes a path must not create an empty inbox there.
pub(crate) async fn open_existing(
    address: Option<&str>,
    data_dir: &Path,
) -> Result<Inbox, Failure> {
    let opened = match address {
        Some(address) => Inbox::open_existing(address).await,
        None => Inbox::sqlite_existing(data_dir.join(FILE)).await,
    };
    opened.map_err(|error| failure(&error, address, data_dir))
}

/// Names the setting in the error, without the address, which may contain a password.
fn failure(error: &InboxError, address: Option<&str>, data_dir: &Path) -> Failure {
    let setting = match address {
        Some(_) => "--database-url (or DATABASE_URL)".to_owned(),
        None => format!("--data-dir {}", data_dir.display()),
    };
    Failure::run(format!("{setting}: {}", in_full(error)))
}

const FILE: &str = "inbox.sqlite";
