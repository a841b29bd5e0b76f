use std::{future::Future, sync::Arc};

use super::{
    dispatch::{BoxFuture, Dispatch, Route, Task},
    error::HandlerError,
    registry::HandlerRegistry,
};
use crate::{
    error::ConfigError,
    event::{
        diarization::Diarization, identification::Identification, typed::TypedEvent,
        voiceprint::Voiceprint, webhook_event::WebhookEvent,
    },
};

/// Closures, each for the events of one kind.
impl HandlerRegistry {
    /// Adds a closure for every event.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`register`](Self::register).
    pub fn on_any<F, Fut>(self, name: impl Into<Arc<str>>, f: F) -> Result<Self, ConfigError>
    where
        F: Fn(WebhookEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.add(
            name.into(),
            On::envelope(|dispatch| Some(dispatch.event.clone()), f),
        )
    }

    /// Adds a closure for the outputs of diarization jobs.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`register`](Self::register).
    pub fn on_diarization<F, Fut>(
        self,
        name: impl Into<Arc<str>>,
        f: F,
    ) -> Result<Self, ConfigError>
    where
        F: Fn(TypedEvent<Diarization>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let typed = |dispatch: &Dispatch| match &dispatch.route {
            Route::Diarization(event) => Some(event.clone()),
            _ => None,
        };
        self.add(name.into(), On::output(typed, f))
    }

    /// Adds a closure for the outputs of identification jobs.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`register`](Self::register).
    pub fn on_identification<F, Fut>(
        self,
        name: impl Into<Arc<str>>,
        f: F,
    ) -> Result<Self, ConfigError>
    where
        F: Fn(TypedEvent<Identification>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let typed = |dispatch: &Dispatch| match &dispatch.route {
            Route::Identification(event) => Some(event.clone()),
            _ => None,
        };
        self.add(name.into(), On::output(typed, f))
    }

    /// Adds a closure for the outputs of voiceprint jobs.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`register`](Self::register).
    pub fn on_voiceprint<F, Fut>(self, name: impl Into<Arc<str>>, f: F) -> Result<Self, ConfigError>
    where
        F: Fn(TypedEvent<Voiceprint>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let typed = |dispatch: &Dispatch| match &dispatch.route {
            Route::Voiceprint(event) => Some(event.clone()),
            _ => None,
        };
        self.add(name.into(), On::output(typed, f))
    }

    /// Adds a closure for jobs that succeeded and whose event has no output.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`register`](Self::register).
    pub fn on_status_only<F, Fut>(
        self,
        name: impl Into<Arc<str>>,
        f: F,
    ) -> Result<Self, ConfigError>
    where
        F: Fn(WebhookEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let status_only = |dispatch: &Dispatch| {
            let fits = matches!(dispatch.route, Route::StatusOnly);
            fits.then(|| dispatch.event.clone())
        };
        self.add(name.into(), On::envelope(status_only, f))
    }

    /// Adds a closure for jobs that failed.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`register`](Self::register).
    pub fn on_failed<F, Fut>(self, name: impl Into<Arc<str>>, f: F) -> Result<Self, ConfigError>
    where
        F: Fn(WebhookEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let failed = |dispatch: &Dispatch| {
            let fits = matches!(dispatch.route, Route::Failed);
            fits.then(|| dispatch.event.clone())
        };
        self.add(name.into(), On::envelope(failed, f))
    }

    /// Adds a closure for jobs that were canceled.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`register`](Self::register).
    pub fn on_canceled<F, Fut>(self, name: impl Into<Arc<str>>, f: F) -> Result<Self, ConfigError>
    where
        F: Fn(WebhookEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let canceled = |dispatch: &Dispatch| {
            let fits = matches!(dispatch.route, Route::Canceled);
            fits.then(|| dispatch.event.clone())
        };
        self.add(name.into(), On::envelope(canceled, f))
    }

    /// Adds a closure for outputs and statuses that this version does not know.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`register`](Self::register).
    pub fn on_unknown<F, Fut>(self, name: impl Into<Arc<str>>, f: F) -> Result<Self, ConfigError>
    where
        F: Fn(WebhookEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let unknown = |dispatch: &Dispatch| {
            let fits = matches!(dispatch.route, Route::UnknownOutput | Route::UnknownStatus);
            fits.then(|| dispatch.event.clone())
        };
        self.add(name.into(), On::output(unknown, f))
    }
}

/// A closure, and the function that picks its argument.
struct On<T, F> {
    pick: fn(&Dispatch) -> Option<T>,
    needs_output: bool,
    run: F,
}

impl<T, F> On<T, F> {
    /// Creates a closure whose events the envelope tells.
    fn envelope(pick: fn(&Dispatch) -> Option<T>, run: F) -> Self {
        Self {
            pick,
            needs_output: false,
            run,
        }
    }

    /// Creates a closure whose events only the typed output tells.
    fn output(pick: fn(&Dispatch) -> Option<T>, run: F) -> Self {
        Self {
            pick,
            needs_output: true,
            run,
        }
    }
}

impl<T, F, Fut> Task for On<T, F>
where
    T: Send + 'static,
    F: Fn(T) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    fn needs_output(&self) -> bool {
        self.needs_output
    }

    fn run<'a>(
        &'a self,
        dispatch: &'a Dispatch,
    ) -> Option<BoxFuture<'a, Result<(), HandlerError>>> {
        let event = (self.pick)(dispatch)?;
        // Call the closure inside the future, so that its panic is caught even before the first await.
        Some(Box::pin(async move { (self.run)(event).await }))
    }
}
