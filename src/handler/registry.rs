use std::{fmt, sync::Arc, time::Duration};

use super::{
    dispatch::{Task, Whole},
    http::HandlerService,
};
use crate::{ConfigError, WebhookHandler};

/// The handlers of an application, by name and in order.
///
/// It is a [`tower_service::Service`] of events, so tower's layers go around it, and
/// [`into_service`](Self::into_service) puts it behind HTTP, under `PyannoteSignatureLayer`.
///
/// 1. Handlers run one after another, in the order of registration.
/// 2. Each runs under its own [time limit](Self::with_handler_timeout), 8 s by default. What
///    counts for pyannoteAI, which waits 10 s, is their sum: slow work belongs behind a queue, or
///    a timeout layer around the registry.
/// 3. A panic is caught. Like a timeout it is an error that another attempt may mend.
/// 4. One handler's failure keeps no other from running.
/// 5. If a handler failed and may be tried again, the answer is [`HandlersFailed`]; then *all*
///    handlers meet the event again. If only [permanent] errors remain,
///    the event counts as handled.
///
/// A body of more than 1 MiB is typed on one of tokio's blocking threads, before the first
/// handler and outside its time. It is not typed at all if there are only closures that can do
/// without: `on_any`, `on_status_only`, `on_failed` and `on_canceled`.
///
/// It must run on tokio with its timer enabled. Panics are caught only where they unwind, not in a
/// build with `panic = "abort"`; and a handler that blocks its thread cannot be stopped.
///
/// Without any handler it answers that all is well and does nothing.
///
/// Cloning is cheap.
///
/// [`HandlersFailed`]: crate::handler::HandlersFailed
/// [permanent]: crate::HandlerError::permanent
///
/// # Example: a plugin and a closure
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
    timeout: Duration,
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    pub(super) task: Arc<dyn Task>,
    timeout: Option<Duration>,
}

impl HandlerRegistry {
    /// Makes a registry without handlers.
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                entries: Vec::new(),
                timeout: DEFAULT_TIMEOUT,
            }),
        }
    }

    /// Adds a handler with all of its methods.
    ///
    /// The name stands in logs, metrics and reports.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::EmptyHandlerName`] for an empty or blank name and
    /// [`ConfigError::DuplicateHandler`] for one that is taken, by a closure too.
    pub fn register(
        self,
        name: impl Into<Arc<str>>,
        handler: impl WebhookHandler,
    ) -> Result<Self, ConfigError> {
        self.add(name.into(), Whole(handler))
    }

    /// Sets the time limit of every handler that has none of its own. Default: 8 s.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::ZeroTimeout`] for zero.
    pub fn with_handler_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        if timeout.is_zero() {
            return Err(ConfigError::ZeroTimeout {
                setting: "handler_timeout",
            });
        }
        Arc::make_mut(&mut self.inner).timeout = timeout;
        Ok(self)
    }

    /// Sets the time limit of one handler that is already registered.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::ZeroTimeout`] for zero and [`ConfigError::UnknownHandler`] if no
    /// handler has this name.
    pub fn with_timeout_for(mut self, name: &str, timeout: Duration) -> Result<Self, ConfigError> {
        if timeout.is_zero() {
            return Err(ConfigError::ZeroTimeout {
                setting: "timeout_for",
            });
        }
        let entries = &mut Arc::make_mut(&mut self.inner).entries;
        match entries.iter_mut().find(|entry| &*entry.name == name) {
            Some(entry) => entry.timeout = Some(timeout),
            None => return Err(ConfigError::UnknownHandler { name: name.into() }),
        }
        Ok(self)
    }

    /// Gives the names of the handlers, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries().map(|entry| &*entry.name)
    }

    /// Turns the registry into an HTTP service to put under `PyannoteSignatureLayer`.
    pub fn into_service(self) -> HandlerService<Self> {
        HandlerService::new(self)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.inner.entries.iter()
    }

    pub(super) fn timeout_of(&self, entry: &Entry) -> Duration {
        entry.timeout.unwrap_or(self.inner.timeout)
    }

    pub(super) fn add(
        mut self,
        name: Arc<str>,
        task: impl Task + 'static,
    ) -> Result<Self, ConfigError> {
        if name.trim().is_empty() {
            return Err(ConfigError::EmptyHandlerName);
        }
        if self.names().any(|taken| taken == &*name) {
            return Err(ConfigError::DuplicateHandler { name });
        }
        Arc::make_mut(&mut self.inner).entries.push(Entry {
            name,
            task: Arc::new(task),
            timeout: None,
        });
        Ok(self)
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

/// Below the 10 s after which pyannoteAI gives a delivery up.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(8);
