use std::{future::Future, sync::Arc};

use super::dispatch::{BoxFuture, Dispatch, Route, Task};
use crate::{
    ConfigError, Diarization, HandlerError, HandlerRegistry, Identification, TypedEvent,
    Voiceprint, WebhookEvent,
};

/// Closures, each for the events of one kind.
impl HandlerRegistry {
    /// Adds a closure for every event.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    pub fn on_any<F, Fut>(self, name: impl Into<Arc<str>>, f: F) -> Result<Self, ConfigError>
    where
        F: Fn(WebhookEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.add(name.into(), On::envelope(any, f))
    }

    /// Adds a closure for the outputs of diarization jobs.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    pub fn on_diarization<F, Fut>(
        self,
        name: impl Into<Arc<str>>,
        f: F,
    ) -> Result<Self, ConfigError>
    where
        F: Fn(TypedEvent<Diarization>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.add(name.into(), On::output(diarization, f))
    }

    /// Adds a closure for the outputs of identification jobs.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    pub fn on_identification<F, Fut>(
        self,
        name: impl Into<Arc<str>>,
        f: F,
    ) -> Result<Self, ConfigError>
    where
        F: Fn(TypedEvent<Identification>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.add(name.into(), On::output(identification, f))
    }

    /// Adds a closure for the outputs of voiceprint jobs.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    pub fn on_voiceprint<F, Fut>(self, name: impl Into<Arc<str>>, f: F) -> Result<Self, ConfigError>
    where
        F: Fn(TypedEvent<Voiceprint>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.add(name.into(), On::output(voiceprint, f))
    }

    /// Adds a closure for successes that came without output.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    pub fn on_status_only<F, Fut>(
        self,
        name: impl Into<Arc<str>>,
        f: F,
    ) -> Result<Self, ConfigError>
    where
        F: Fn(WebhookEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.add(name.into(), On::envelope(status_only, f))
    }

    /// Adds a closure for jobs that failed.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    pub fn on_failed<F, Fut>(self, name: impl Into<Arc<str>>, f: F) -> Result<Self, ConfigError>
    where
        F: Fn(WebhookEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.add(name.into(), On::envelope(failed, f))
    }

    /// Adds a closure for jobs that were canceled.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    pub fn on_canceled<F, Fut>(self, name: impl Into<Arc<str>>, f: F) -> Result<Self, ConfigError>
    where
        F: Fn(WebhookEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.add(name.into(), On::envelope(canceled, f))
    }

    /// Adds a closure for what this version cannot type.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    pub fn on_unknown<F, Fut>(self, name: impl Into<Arc<str>>, f: F) -> Result<Self, ConfigError>
    where
        F: Fn(WebhookEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.add(name.into(), On::output(unknown, f))
    }
}

/// A closure and what it is to be called with.
pub(super) struct On<T, F> {
    pick: fn(&Dispatch) -> Option<T>,
    needs_output: bool,
    run: F,
}

impl<T, F> On<T, F> {
    /// A closure whose event is known by the envelope alone.
    pub(super) fn envelope(pick: fn(&Dispatch) -> Option<T>, run: F) -> Self {
        Self {
            pick,
            needs_output: false,
            run,
        }
    }

    /// A closure whose event is known once its output is typed.
    pub(super) fn output(pick: fn(&Dispatch) -> Option<T>, run: F) -> Self {
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
        // Called inside the future, so that a panic before its first await is caught as well.
        Some(Box::pin(async move { (self.run)(event).await }))
    }
}

pub(super) fn any(dispatch: &Dispatch) -> Option<WebhookEvent> {
    Some(dispatch.event.clone())
}

pub(super) fn diarization(dispatch: &Dispatch) -> Option<TypedEvent<Diarization>> {
    match &dispatch.route {
        Route::Diarization(event) => Some(event.clone()),
        _ => None,
    }
}

pub(super) fn identification(dispatch: &Dispatch) -> Option<TypedEvent<Identification>> {
    match &dispatch.route {
        Route::Identification(event) => Some(event.clone()),
        _ => None,
    }
}

pub(super) fn voiceprint(dispatch: &Dispatch) -> Option<TypedEvent<Voiceprint>> {
    match &dispatch.route {
        Route::Voiceprint(event) => Some(event.clone()),
        _ => None,
    }
}

pub(super) fn status_only(dispatch: &Dispatch) -> Option<WebhookEvent> {
    matches!(dispatch.route, Route::StatusOnly).then(|| dispatch.event.clone())
}

pub(super) fn failed(dispatch: &Dispatch) -> Option<WebhookEvent> {
    matches!(dispatch.route, Route::Failed).then(|| dispatch.event.clone())
}

pub(super) fn canceled(dispatch: &Dispatch) -> Option<WebhookEvent> {
    matches!(dispatch.route, Route::Canceled).then(|| dispatch.event.clone())
}

pub(super) fn unknown(dispatch: &Dispatch) -> Option<WebhookEvent> {
    matches!(dispatch.route, Route::Unknown).then(|| dispatch.event.clone())
}
