use std::{error::Error, fmt};

type BoxError = Box<dyn Error + Send + Sync>;

/// Why a handler failed, and whether trying again can help.
///
/// Any error turns into one with `?` and is then retryable: the event is delivered or taken up
/// again. One that no repetition can mend is marked [permanent](Self::permanent); it is reported
/// and counted, and the event is answered as if it had been handled.
///
/// Its `Display` is the error's own. It goes to logs, so it should not hold what a log must not.
///
/// Like `anyhow::Error` it does not implement [`Error`], which is what lets `?` take any error;
/// [`as_error`](Self::as_error) and [`into_error`](Self::into_error) give the one inside.
///
/// # Example: a retryable and a permanent error
///
/// ```
/// use tower_pyannote::HandlerError;
///
/// fn write_down(line: &str) -> Result<(), HandlerError> {
///     if line.is_empty() {
///         return Err(HandlerError::permanent("there is no speaker to write down"));
///     }
///     std::fs::write("/nowhere/speakers.txt", line)?;
///     Ok(())
/// }
///
/// assert!(!write_down("SPEAKER_00").unwrap_err().is_permanent());
/// assert!(write_down("").unwrap_err().is_permanent());
/// ```
pub struct HandlerError {
    error: BoxError,
    permanent: bool,
}

impl HandlerError {
    /// Makes an error that another attempt may mend.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self {
            error: error.into(),
            permanent: false,
        }
    }

    /// Makes an error that no further attempt can mend.
    pub fn permanent(error: impl Into<BoxError>) -> Self {
        Self {
            error: error.into(),
            permanent: true,
        }
    }

    /// Marks this error as one that no further attempt can mend.
    #[must_use]
    pub fn into_permanent(self) -> Self {
        Self {
            permanent: true,
            ..self
        }
    }

    /// Says whether no further attempt can mend this.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }

    /// Gives the error inside, to look at or to downcast.
    #[must_use]
    pub fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.error
    }

    /// Takes the error out.
    #[must_use]
    pub fn into_error(self) -> BoxError {
        self.error
    }
}

impl<E> From<E> for HandlerError
where
    E: Into<BoxError>,
{
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerError")
            .field("permanent", &self.permanent)
            .field("error", &self.error)
            .finish()
    }
}
