use std::{error::Error, fmt, time::Duration};

type BoxError = Box<dyn Error + Send + Sync>;

/// Why a handler failed, and whether and when to try again.
///
/// `?` turns any error into a retryable one: the handler gets the event again, from pyannoteAI or from an inbox.
///
/// - [`permanent`](Self::permanent) marks an error that a retry cannot fix. It is logged and counted, and the event is
///   answered as if it had been handled.
/// - [`retry_after`](Self::retry_after) asks for a certain pause before the retry.
///
/// `Display` is that of the error inside. It goes to logs, so it must not show secrets.
///
/// Like `anyhow::Error`, this type does not implement [`Error`], because otherwise `?` could not take any error.
/// [`as_error`](Self::as_error) and [`into_error`](Self::into_error) return the error inside.
///
/// # Example: a retryable and a permanent error
///
/// ```
/// use tower_pyannote::HandlerError;
///
/// fn append(line: &str) -> Result<(), HandlerError> {
///     if line.is_empty() {
///         return Err(HandlerError::permanent("the event names no speaker"));
///     }
///     std::fs::write("/nowhere/speakers.txt", line)?;
///     Ok(())
/// }
///
/// assert!(!append("SPEAKER_00").unwrap_err().is_permanent());
/// assert!(append("").unwrap_err().is_permanent());
/// ```
///
/// # Example: an error type of your own, with `?`
///
/// Implement `From` for an error type that does not implement [`Error`]:
///
/// ```
/// use std::time::Duration;
/// use tower_pyannote::HandlerError;
///
/// enum CrmError {
///     Busy { retry_after: Duration },
///     Rejected { reason: String },
///     Io(std::io::Error),
/// }
///
/// impl From<CrmError> for HandlerError {
///     fn from(error: CrmError) -> Self {
///         match error {
///             CrmError::Busy { retry_after } => Self::new("the CRM is busy").retry_after(retry_after),
///             CrmError::Rejected { reason } => Self::permanent(reason),
///             CrmError::Io(error) => error.into(),
///         }
///     }
/// }
///
/// # fn send(line: &str) -> Result<(), CrmError> {
/// #     match line {
/// #         "busy" => Err(CrmError::Busy { retry_after: Duration::from_secs(60) }),
/// #         "io" => Err(CrmError::Io(std::io::Error::other("broken pipe"))),
/// #         line => Err(CrmError::Rejected { reason: format!("{line} is not a customer") }),
/// #     }
/// # }
/// fn handle(line: &str) -> Result<(), HandlerError> {
///     send(line)?;
///     Ok(())
/// }
///
/// assert!(handle("Ada").unwrap_err().is_permanent());
/// assert_eq!(handle("busy").unwrap_err().retry_delay(), Some(Duration::from_secs(60)));
/// assert_eq!(handle("io").unwrap_err().to_string(), "broken pipe");
/// ```
///
/// An error type that implements [`Error`] cannot have such an impl, because `?` already makes it retryable. Give it a
/// method that returns a `HandlerError`, and write `send(line).map_err(CrmError::into_handler_error)?`.
pub struct HandlerError {
    error: BoxError,
    permanent: bool,
    retry_delay: Option<Duration>,
}

impl HandlerError {
    /// Creates a retryable error.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self {
            error: error.into(),
            permanent: false,
            retry_delay: None,
        }
    }

    /// Creates an error that a retry cannot fix.
    pub fn permanent(error: impl Into<BoxError>) -> Self {
        Self::new(error).into_permanent()
    }

    /// Marks this error as one that a retry cannot fix.
    #[must_use]
    pub fn into_permanent(self) -> Self {
        Self {
            permanent: true,
            retry_delay: None,
            ..self
        }
    }

    /// Asks for a retry after `delay`; by default the caller decides when to retry.
    ///
    /// The worker of an inbox waits this long instead of its backoff. pyannoteAI repeats a delivery by its own schedule,
    /// whatever the delay. A [permanent](Self::permanent) error stays permanent and has no delay.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_pyannote::HandlerError;
    ///
    /// let busy = std::io::Error::other("the server is busy");
    /// let error = HandlerError::new(busy).retry_after(Duration::from_secs(30));
    /// assert_eq!(error.retry_delay(), Some(Duration::from_secs(30)));
    /// assert_eq!(error.into_permanent().retry_delay(), None);
    /// ```
    #[must_use]
    pub fn retry_after(self, delay: Duration) -> Self {
        Self {
            retry_delay: (!self.permanent).then_some(delay),
            ..self
        }
    }

    /// Returns whether a retry cannot fix this error.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }

    /// Returns the pause that the handler asks for before the retry; `None` if it asks for none.
    #[must_use]
    pub fn retry_delay(&self) -> Option<Duration> {
        self.retry_delay
    }

    /// Borrows the error inside, for example to downcast it.
    #[must_use]
    pub fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.error
    }

    /// Returns the error inside.
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
        let mut debug = f.debug_struct("HandlerError");
        debug.field("permanent", &self.permanent);
        if let Some(delay) = self.retry_delay {
            debug.field("retry_delay", &delay);
        }
        debug.field("error", &self.error).finish()
    }
}
