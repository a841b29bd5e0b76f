use std::{error::Error, fmt, sync::Arc};

use crate::sql::schema_error::SchemaError;

/// Why an inbox could not do something.
///
/// The [source](Error::source) is the database's error. After an error of any kind but
/// [`Address`](InboxErrorKind::Address) and [`Open`](InboxErrorKind::Open) the work may be done all the same, because perhaps
/// only the answer was lost.
///
/// `Debug` shows the error and its sources, each after a colon, as `main` prints it.
#[derive(Clone)]
pub struct InboxError {
    kind: InboxErrorKind,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The kind of an [`InboxError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InboxErrorKind {
    /// The address of the database cannot be used, or needs a feature that is off.
    Address,
    /// The database could not be opened or brought up to date.
    Open,
    /// The database did not answer in time.
    Timeout,
    /// The database failed.
    Store,
    /// The inbox was shut down, or a part of it panicked.
    Closed,
}

impl InboxError {
    pub(crate) fn new(kind: InboxErrorKind) -> Self {
        Self { kind, source: None }
    }

    pub(crate) fn because(
        kind: InboxErrorKind,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            source: Some(source.into().into()),
        }
    }

    /// Turns an error of the database into one of opening it.
    pub(crate) fn while_opening(self) -> Self {
        Self {
            kind: InboxErrorKind::Open,
            ..self
        }
    }

    /// Returns whether there is no inbox to open: no file, or a database without the inbox's tables.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        let Some(source) = &self.source else {
            return false;
        };
        let is_no_file = source
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        is_no_file || matches!(source.downcast_ref(), Some(SchemaError::NoInbox))
    }

    /// Returns whether the tables are of an earlier version, and the inbox was opened without migrations.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        let source = self.source.as_ref();
        let reason = source.and_then(|source| source.downcast_ref());
        matches!(reason, Some(SchemaError::Outdated))
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> InboxErrorKind {
        self.kind
    }
}

impl fmt::Display for InboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            InboxErrorKind::Address => "the address of the inbox's database cannot be used",
            InboxErrorKind::Open => "the inbox's database cannot be opened",
            InboxErrorKind::Timeout => "the inbox's database did not answer in time",
            InboxErrorKind::Store => "the inbox's database failed",
            InboxErrorKind::Closed => "the inbox was shut down, or a part of it panicked",
        })
    }
}

impl fmt::Debug for InboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Chain(self), f)
    }
}

impl Error for InboxError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| -> &(dyn Error + 'static) { source })
    }
}

/// Shows an error with its causes, each after a colon.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
