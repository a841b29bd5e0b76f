use std::{future::Future, pin::Pin};

use super::{error::HandlerError, webhook_handler::WebhookHandler};
use crate::{
    event::{
        diarization::Diarization, identification::Identification, status::Status,
        typed::TypedEvent, voiceprint::Voiceprint, webhook_event::WebhookEvent,
    },
    offload,
};

pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An event and its route, which all handlers share.
pub(super) struct Dispatch {
    pub(super) event: WebhookEvent,
    pub(super) route: Route,
}

/// Which method of a handler fits an event.
pub(super) enum Route {
    Diarization(TypedEvent<Diarization>),
    Identification(TypedEvent<Identification>),
    Voiceprint(TypedEvent<Voiceprint>),
    /// The output cannot be typed.
    UnknownOutput,
    /// No handler needs the output, so it was not typed.
    UntypedOutput,
    StatusOnly,
    Failed,
    Canceled,
    UnknownStatus,
}

/// A registered handler or closure.
pub(super) trait Task: Send + Sync {
    /// Returns whether the task must know the type of an output.
    fn needs_output(&self) -> bool;

    /// Returns the work on an event; `None` if the event is not for this task.
    fn run<'a>(&'a self, dispatch: &'a Dispatch)
    -> Option<BoxFuture<'a, Result<(), HandlerError>>>;
}

impl Dispatch {
    pub(super) async fn new(event: WebhookEvent, needs_output: bool) -> Self {
        let route = match event.status() {
            Status::Failed => Route::Failed,
            Status::Canceled => Route::Canceled,
            Status::Pending | Status::Created | Status::Running | Status::Other(_) => {
                Route::UnknownStatus
            }
            Status::Succeeded if event.kind().is_none() => Route::StatusOnly,
            Status::Succeeded if !needs_output => Route::UntypedOutput,
            Status::Succeeded => {
                offload::type_output(&event).await;
                Route::of_output(&event)
            }
        };
        Self { event, route }
    }
}

impl Route {
    fn of_output(event: &WebhookEvent) -> Self {
        let typed = TypedEvent::try_from(event.clone()).map(Self::Diarization);
        typed
            .or_else(|_| TypedEvent::try_from(event.clone()).map(Self::Identification))
            .or_else(|_| TypedEvent::try_from(event.clone()).map(Self::Voiceprint))
            .unwrap_or(Self::UnknownOutput)
    }
}

/// A handler with all of its methods.
pub(super) struct AllMethods<H> {
    handler: H,
    needs_output: bool,
}

impl<H: WebhookHandler> AllMethods<H> {
    pub(super) fn new(handler: H) -> Self {
        Self {
            needs_output: handler.needs_output(),
            handler,
        }
    }
}

impl<H: WebhookHandler> Task for AllMethods<H> {
    fn needs_output(&self) -> bool {
        self.needs_output
    }

    fn run<'a>(
        &'a self,
        dispatch: &'a Dispatch,
    ) -> Option<BoxFuture<'a, Result<(), HandlerError>>> {
        Some(Box::pin(async move {
            let Dispatch { event, route } = dispatch;
            let handler = &self.handler;
            handler.any(event).await?;
            match route {
                Route::StatusOnly => handler.status_only(event).await,
                Route::Failed => handler.failed(event).await,
                Route::Canceled => handler.canceled(event).await,
                Route::UnknownStatus => handler.unknown(event).await,
                // Another handler may have needed the output. What this one runs must not depend on that.
                _ if !self.needs_output => Ok(()),
                Route::Diarization(event) => handler.diarization(event).await,
                Route::Identification(event) => handler.identification(event).await,
                Route::Voiceprint(event) => handler.voiceprint(event).await,
                Route::UnknownOutput => handler.unknown(event).await,
                Route::UntypedOutput => Ok(()),
            }
        }))
    }
}
