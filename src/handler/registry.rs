use std::{fmt, sync::Arc, time::Duration};

use super::{
    dispatch::{AllMethods, Task},
    http::HandlerService,
    preparation::Preparation,
    webhook_handler::WebhookHandler,
};
use crate::error::ConfigError;

/// An ordered list of named handlers.
///
/// A registry is a [`tower_service::Service`] of events, so tower's layers fit around it.
/// [`into_service`](Self::into_service) turns the registry into an HTTP service, for use inside
/// `PyannoteSignatureLayer`.
///
/// 1. Handlers run one after another, in the order of registration.
/// 2. Each handler has a [timeout](Self::with_handler_timeout), 8 s by default. pyannoteAI waits 10 s for all handlers
///    together: put slow work behind an inbox, or a timeout layer around the registry.
/// 3. The registry catches panics. A panic and a timeout are retryable errors.
/// 4. If a handler fails, the next handlers still run.
/// 5. If a handler failed with a retryable error, the service returns [`HandlersFailed`], and a retry runs *all* handlers
///    again. If all errors are [permanent], the event counts as handled.
///
/// The registry types the output once, before the first handler and outside of its timeout. It types the output of a
/// body over 1 MiB on a blocking thread of tokio. If no handler needs the output, the registry does not type it.
/// Closures given to `on_any`, `on_status_only`, `on_failed` and `on_canceled` do not need it, and neither do handlers
/// whose [`WebhookHandler::needs_output`] is false.
///
/// A registry must run on tokio, with tokio's timer enabled. It cannot catch panics in a build with `panic = "abort"`, and
/// it cannot stop a handler that blocks its thread. Without handlers, every event succeeds.
///
/// Cloning is cheap.
///
/// [`HandlersFailed`]: crate::handler::HandlersFailed
/// [permanent]: crate::HandlerError::permanent
///
/// # Example: a handler and a closure
///
/// ```
/// use tower_pyannote::{Diarization, HandlerError, HandlerRegistry, TypedEvent, WebhookEvent, WebhookHandler};
///
/// struct Timeline;
///
/// impl WebhookHandler for Timeline {
///     async fn diarization(&self, event: &TypedEvent<Diarization>) -> Result<(), HandlerError> {
///         for turn in event.output().diarization.iter() {
///             println!("{:>8.2} {:>8.2} {}", turn.start, turn.end, turn.speaker);
///         }
///         Ok(())
///     }
/// }
///
/// let registry = HandlerRegistry::new()
///     .register("timeline", Timeline)?
///     .on_failed("alert", async |event: WebhookEvent| {
///         eprintln!("{} failed", event.job_id());
///         Ok(())
///     })?;
///
/// assert_eq!(registry.names().collect::<Vec<_>>(), ["timeline", "alert"]);
/// assert!(registry.register("alert", Timeline).is_err());
/// # Ok::<(), tower_pyannote::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct HandlerRegistry {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    entries: Vec<Entry>,
    preparation: Option<Preparation>,
    timeout: Duration,
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    pub(super) task: Arc<dyn Task>,
    timeout: Option<Duration>,
}

impl HandlerRegistry {
    /// Creates a registry without handlers.
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                entries: Vec::new(),
                preparation: None,
                timeout: DEFAULT_TIMEOUT,
            }),
        }
    }

    /// Adds a handler with all of its methods.
    ///
    /// Logs, metrics and reports show the name. Asks the handler once whether it
    /// [needs the output](WebhookHandler::needs_output).
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::EmptyHandlerName`] if the name is empty or blank, and [`ConfigError::DuplicateHandler`]
    /// if another handler or closure has this name.
    pub fn register(
        self,
        name: impl Into<Arc<str>>,
        handler: impl WebhookHandler,
    ) -> Result<Self, ConfigError> {
        self.add(name.into(), AllMethods::new(handler))
    }

    /// Sets the timeout of all handlers that have no timeout of their own. Default: 8 s.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::ZeroTimeout`] if the timeout is zero.
    pub fn with_handler_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        if timeout.is_zero() {
            return Err(ConfigError::ZeroTimeout {
                setting: "handler_timeout",
            });
        }
        Arc::make_mut(&mut self.inner).timeout = timeout;
        Ok(self)
    }

    /// Sets the timeout of one handler, or of the [preparation](Self::with_preparation). Default of a handler: the [common
    /// timeout](Self::with_handler_timeout).
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::ZeroTimeout`] if the timeout is zero, and [`ConfigError::UnknownHandler`] if no registered
    /// handler has this name.
    pub fn with_timeout_for(mut self, name: &str, timeout: Duration) -> Result<Self, ConfigError> {
        if timeout.is_zero() {
            return Err(ConfigError::ZeroTimeout {
                setting: "timeout_for",
            });
        }
        let inner = Arc::make_mut(&mut self.inner);
        let preparation = inner.preparation.as_mut();
        let mut entries = inner.entries.iter_mut();
        match preparation.filter(|preparation| &*preparation.name == name) {
            Some(preparation) => preparation.timeout = timeout,
            None => match entries.find(|entry| &*entry.name == name) {
                Some(entry) => entry.timeout = Some(timeout),
                None => return Err(ConfigError::UnknownHandler { name: name.into() }),
            },
        }
        Ok(self)
    }

    /// Returns the names of the handlers, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries().map(|entry| &*entry.name)
    }

    /// Turns the registry into an HTTP service, for use inside `PyannoteSignatureLayer`.
    pub fn into_service(self) -> HandlerService<Self> {
        HandlerService::new(self)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.inner.entries.iter()
    }

    pub(super) fn preparation(&self) -> Option<&Preparation> {
        self.inner.preparation.as_ref()
    }

    pub(super) fn timeout_of(&self, entry: &Entry) -> Duration {
        entry.timeout.unwrap_or(self.inner.timeout)
    }

    pub(super) fn add(
        mut self,
        name: Arc<str>,
        task: impl Task + 'static,
    ) -> Result<Self, ConfigError> {
        let prepares = self.preparation().is_some_and(|taken| taken.name == name);
        self.check_name(&name, prepares)?;
        Arc::make_mut(&mut self.inner).entries.push(Entry {
            name,
            task: Arc::new(task),
            timeout: None,
        });
        Ok(self)
    }

    pub(super) fn prepared(mut self, preparation: Preparation) -> Result<Self, ConfigError> {
        self.check_name(&preparation.name, false)?;
        Arc::make_mut(&mut self.inner).preparation = Some(preparation);
        Ok(self)
    }

    fn check_name(&self, name: &Arc<str>, is_taken: bool) -> Result<(), ConfigError> {
        if name.trim().is_empty() {
            return Err(ConfigError::EmptyHandlerName);
        }
        if is_taken || self.names().any(|taken| *taken == **name) {
            let name = Arc::clone(name);
            return Err(ConfigError::DuplicateHandler { name });
        }
        Ok(())
    }
}

impl Default for HandlerRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HandlerRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.names().collect();
        f.debug_struct("HandlerRegistry")
            .field("handlers", &names)
            .field("handler_timeout", &self.inner.timeout)
            .finish()
    }
}

/// Less than the 10 s that pyannoteAI waits for a response.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(8);
