use std::{error::Error, fmt};

/// Why a message was not published.
#[derive(Debug)]
pub(super) struct NatsError {
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl NatsError {
    pub(super) fn new(what: String) -> Self {
        Self { what, source: None }
    }

    pub(super) fn because(what: String, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let source = Some(source.into());
        Self { what, source }
    }
}

impl fmt::Display for NatsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for NatsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}
