use std::{error::Error, fmt};

use object_store::path::Path;

/// Why an event could not be stored. The error of the store is its source.
#[derive(Debug)]
pub(crate) struct ArchiveError {
    problem: Problem,
    location: Path,
}

#[derive(Debug)]
enum Problem {
    Unsupported(object_store::Error),
    Write(object_store::Error),
    Read(object_store::Error),
}

impl ArchiveError {
    pub(crate) fn write(location: Path, error: object_store::Error) -> Self {
        let problem = match error {
            object_store::Error::NotImplemented { .. }
            | object_store::Error::NotSupported { .. } => Problem::Unsupported(error),
            _ => Problem::Write(error),
        };
        Self { problem, location }
    }

    pub(crate) fn read(location: Path, error: object_store::Error) -> Self {
        let problem = Problem::Read(error);
        Self { problem, location }
    }

    pub(crate) fn is_already_exists(&self) -> bool {
        matches!(
            self.problem,
            Problem::Write(object_store::Error::AlreadyExists { .. })
        )
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(
            self.problem,
            Problem::Read(object_store::Error::NotFound { .. })
        )
    }
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let location = &self.location;
        match self.problem {
            Problem::Unsupported(_) => write!(
                f,
                "cannot archive {location}: the store lacks what the archive needs; if that is PutMode::Create, use a store that \
                 has it or Archive::without_conditional_create, if it is attributes, use Metadata::Sidecar"
            ),
            Problem::Write(_) => write!(f, "cannot archive {location}"),
            Problem::Read(_) => write!(f, "cannot read {location}, which is in the archive"),
        }
    }
}

impl Error for ArchiveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let (Problem::Unsupported(error) | Problem::Write(error) | Problem::Read(error)) =
            &self.problem;
        Some(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_without_create_says_what_is_missing() {
        let error = object_store::Error::NotImplemented {
            operation: "`put_opts` with mode `PutMode::Create`".into(),
            implementer: "Store".into(),
        };
        let error = ArchiveError::write(Path::from("a/b"), error);
        assert!(!error.is_already_exists());
        assert_eq!(
            error.to_string(),
            "cannot archive a/b: the store lacks what the archive needs; if that is PutMode::Create, use a store that has it or \
             Archive::without_conditional_create, if it is attributes, use Metadata::Sidecar"
        );
        assert_eq!(
            error.source().map(ToString::to_string).as_deref(),
            Some("Operation `put_opts` with mode `PutMode::Create` not yet implemented by Store.")
        );
    }
}
