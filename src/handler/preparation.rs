use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    dispatch::BoxFuture,
    error::HandlerError,
    guard::guarded,
    registry::HandlerRegistry,
    report::{HandlerOutcome, HandlerRun},
};
use crate::{error::ConfigError, event::webhook_event::WebhookEvent};

/// Prepares an event before the handlers of a [`HandlerRegistry`] run.
///
/// The registry calls the preparation once for each attempt, for all handlers together. If no handler is left to run, it does
/// not call the preparation. All handlers of the attempt get the event that the preparation returns. If the preparation fails,
/// no handler runs, and the report has one failure with the name of the preparation.
///
/// `FetchOutput` of the crate `pyannoteai-client` fetches the output of an event that has only the status.
///
/// Implement the method as `async fn`. Its future must be `Send`.
pub trait EventPreparation: Send + Sync + 'static {
    /// Returns the event that the handlers get: the given one, or another one of the same job.
    ///
    /// # Errors
    ///
    /// Returns any [`HandlerError`]. It is retried or permanent, as the error of a handler is.
    fn prepare(
        &self,
        event: WebhookEvent,
    ) -> impl Future<Output = Result<WebhookEvent, HandlerError>> + Send;
}

impl HandlerRegistry {
    /// Sets a preparation of events, which runs before the handlers. Default: none. A second one replaces the first.
    ///
    /// Its timeout is 3 minutes; [`with_timeout_for`](Self::with_timeout_for) changes it. The registry catches its panics.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::EmptyHandlerName`] if the name is empty or blank, and [`ConfigError::DuplicateHandler`] if a
    /// handler has this name.
    ///
    /// # Example: events with the output of a store
    ///
    /// ```
    /// use tower_pyannote::{HandlerError, HandlerRegistry, WebhookEvent, handler::EventPreparation};
    ///
    /// struct OnlyWithOutput;
    ///
    /// impl EventPreparation for OnlyWithOutput {
    ///     async fn prepare(&self, event: WebhookEvent) -> Result<WebhookEvent, HandlerError> {
    ///         match event.kind() {
    ///             Some(_) => Ok(event),
    ///             None => Err(HandlerError::permanent("the event has no output")),
    ///         }
    ///     }
    /// }
    ///
    /// let registry = HandlerRegistry::new()
    ///     .with_preparation("output", OnlyWithOutput)?
    ///     .on_any("print", async |event: WebhookEvent| {
    ///         println!("{}", event.job_id());
    ///         Ok(())
    ///     })?;
    /// # Ok::<(), tower_pyannote::ConfigError>(())
    /// ```
    pub fn with_preparation(
        self,
        name: impl Into<Arc<str>>,
        preparation: impl EventPreparation,
    ) -> Result<Self, ConfigError> {
        self.prepared(Preparation {
            name: name.into(),
            task: Arc::new(preparation),
            timeout: DEFAULT_TIMEOUT,
        })
    }
}

/// A preparation and its settings.
#[derive(Clone)]
pub(super) struct Preparation {
    pub(super) name: Arc<str>,
    pub(super) timeout: Duration,
    task: Arc<dyn DynPreparation>,
}

impl Preparation {
    /// Returns the prepared event, or how the preparation failed.
    pub(super) async fn run(&self, event: WebhookEvent) -> Result<WebhookEvent, HandlerRun> {
        let started = Instant::now();
        let failed = |outcome: HandlerOutcome| HandlerRun {
            name: Arc::clone(&self.name),
            outcome,
            elapsed: started.elapsed(),
        };
        guarded(self.task.run(event), self.timeout)
            .await
            .map_err(failed)
    }
}

/// The object-safe form of [`EventPreparation`].
trait DynPreparation: Send + Sync {
    fn run(&self, event: WebhookEvent) -> BoxFuture<'_, Result<WebhookEvent, HandlerError>>;
}

impl<P: EventPreparation> DynPreparation for P {
    fn run(&self, event: WebhookEvent) -> BoxFuture<'_, Result<WebhookEvent, HandlerError>> {
        // The call is inside of the future, so that its panic is caught.
        Box::pin(async move { self.prepare(event).await })
    }
}

/// Longer than the 2 minutes for which the client waits at most if the API asks for a pause.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3 * 60);
