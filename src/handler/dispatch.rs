use std::{future::Future, pin::Pin};

use crate::{
    Diarization, HandlerError, Identification, Output, Status, TypedEvent, Voiceprint,
    WebhookEvent, WebhookHandler, offload,
};

pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An event on its way through the handlers, typed once for all of them.
pub(super) struct Dispatch {
    pub(super) event: WebhookEvent,
    pub(super) route: Route,
}

/// Which method an event belongs to.
pub(super) enum Route {
    Diarization(TypedEvent<Diarization>),
    Identification(TypedEvent<Identification>),
    Voiceprint(TypedEvent<Voiceprint>),
    StatusOnly,
    Failed,
    Canceled,
    Unknown,
    /// An output that no handler at hand asks for.
    Untyped,
}

/// A registered handler, whatever it was made of.
pub(super) trait Task: Send + Sync {
    /// Whether the output has to be typed to know what to run.
    fn needs_output(&self) -> bool;

    /// The work on this event; `None` if it is not one for this handler.
    fn run<'a>(&'a self, dispatch: &'a Dispatch)
    -> Option<BoxFuture<'a, Result<(), HandlerError>>>;
}

impl Dispatch {
    pub(super) async fn new(event: WebhookEvent, needs_output: bool) -> Self {
        let has_output = event.kind().is_some() && *event.status() == Status::Succeeded;
        if needs_output && has_output {
            offload::type_output(&event).await;
        }
        let route = Route::of(&event, needs_output);
        Self { event, route }
    }
}

impl Route {
    fn of(event: &WebhookEvent, needs_output: bool) -> Self {
        match event.status() {
            Status::Failed => Self::Failed,
            Status::Canceled => Self::Canceled,
            Status::Succeeded if event.kind().is_none() => Self::StatusOnly,
            Status::Succeeded if needs_output => Self::of_output(event),
            Status::Succeeded => Self::Untyped,
            _ => Self::Unknown,
        }
    }

    fn of_output(event: &WebhookEvent) -> Self {
        let typed = match event.output() {
            None => Some(Self::StatusOnly),
            Some(Output::Diarization(_)) => typed(event).map(Self::Diarization),
            Some(Output::Identification(_)) => typed(event).map(Self::Identification),
            Some(Output::Voiceprint(_)) => typed(event).map(Self::Voiceprint),
            Some(_) => None,
        };
        typed.unwrap_or(Self::Unknown)
    }
}

fn typed<T>(event: &WebhookEvent) -> Option<TypedEvent<T>>
where
    TypedEvent<T>: TryFrom<WebhookEvent>,
{
    event.clone().try_into().ok()
}

/// A handler with all of its methods.
pub(super) struct Whole<H>(pub(super) H);

impl<H: WebhookHandler> Task for Whole<H> {
    fn needs_output(&self) -> bool {
        true
    }

    fn run<'a>(
        &'a self,
        dispatch: &'a Dispatch,
    ) -> Option<BoxFuture<'a, Result<(), HandlerError>>> {
        Some(Box::pin(async move {
            let Dispatch { event, route } = dispatch;
            self.0.any(event).await?;
            match route {
                Route::Diarization(event) => self.0.diarization(event).await,
                Route::Identification(event) => self.0.identification(event).await,
                Route::Voiceprint(event) => self.0.voiceprint(event).await,
                Route::StatusOnly => self.0.status_only(event).await,
                Route::Failed => self.0.failed(event).await,
                Route::Canceled => self.0.canceled(event).await,
                Route::Unknown => self.0.unknown(event).await,
                Route::Untyped => Ok(()),
            }
        }))
    }
}
