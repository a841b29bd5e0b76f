use std::future::Future;

use super::dispatch::{BoxFuture, Dispatch, Route, Task};
use crate::{Diarization, HandlerError, Identification, TypedEvent, Voiceprint, WebhookEvent};

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
