use std::{error::Error, fmt};

/// Why the tables of a database cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SchemaError {
    NoInbox,
    Newer,
    Outdated,
    Unreleased,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoInbox => "there is no inbox in this database: nothing was made",
            Self::Newer => "a newer version of this program made the inbox's tables: use that version",
            Self::Outdated => {
                "the inbox's tables are missing or outdated: run the migrations, as a role that may create tables"
            }
            Self::Unreleased => {
                "the inbox's tables were made before the first release and cannot be migrated: use another database"
            }
        })
    }
}

impl Error for SchemaError {}
