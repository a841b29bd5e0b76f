use std::{future::Future, sync::Arc};

use crate::{Diarization, HandlerError, Identification, TypedEvent, Voiceprint, WebhookEvent};

/// What an application does with an event: one method per kind, each of which does nothing by
/// default.
///
/// For every event [`any`](Self::any) runs first, then the one method that fits:
///
/// | status | output | method |
/// |---|---|---|
/// | `failed` | | [`failed`](Self::failed) |
/// | `canceled` | | [`canceled`](Self::canceled) |
/// | `succeeded` | none | [`status_only`](Self::status_only) |
/// | `succeeded` | typed | [`diarization`](Self::diarization), [`identification`](Self::identification) or [`voiceprint`](Self::voiceprint) |
/// | `succeeded` | any other | [`unknown`](Self::unknown) |
/// | any other | | [`unknown`](Self::unknown) |
///
/// An error of `any` ends this handler's work on the event.
///
/// **Handlers must be idempotent.** Delivery is at least once: pyannoteAI repeats what was not
/// answered in time, and an event is handled again, by all handlers, when one of them failed.
/// [`WebhookEvent::job_id`] and [`WebhookEvent::status`] together name an event.
///
/// What an event holds was signed by pyannoteAI, but its text is still to be treated as data:
/// job ids, labels and transcripts may hold anything.
///
/// Implement the methods as `async fn`; the futures have to be `Send`.
///
/// # Example: a handler of two kinds
///
/// ```
/// use tower_pyannote::{Diarization, HandlerError, TypedEvent, WebhookEvent, WebhookHandler};
///
/// struct Notify;
///
/// impl WebhookHandler for Notify {
///     async fn diarization(&self, event: &TypedEvent<Diarization>) -> Result<(), HandlerError> {
///         println!("{}: {} turns", event.job_id(), event.output().diarization.len());
///         Ok(())
///     }
///
///     async fn failed(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
///         println!("{}: {}", event.job_id(), event.error().unwrap_or("no reason given"));
///         Ok(())
///     }
/// }
/// ```
#[expect(unused_variables, reason = "the default methods do nothing")]
pub trait WebhookHandler: Send + Sync + 'static {
    /// Handles every event, before the method of its kind.
    fn any(&self, event: &WebhookEvent) -> impl Future<Output = Result<(), HandlerError>> + Send {
        async { Ok(()) }
    }

    /// Handles the output of a diarization job.
    fn diarization(
        &self,
        event: &TypedEvent<Diarization>,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send {
        async { Ok(()) }
    }

    /// Handles the output of an identification job.
    fn identification(
        &self,
        event: &TypedEvent<Identification>,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send {
        async { Ok(()) }
    }

    /// Handles the output of a voiceprint job.
    fn voiceprint(
        &self,
        event: &TypedEvent<Voiceprint>,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send {
        async { Ok(()) }
    }

    /// Handles a success that came without output, as `webhookStatusOnly` asks for.
    fn status_only(
        &self,
        event: &WebhookEvent,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send {
        async { Ok(()) }
    }

    /// Handles a job that failed; [`WebhookEvent::error`] may say why.
    fn failed(
        &self,
        event: &WebhookEvent,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send {
        async { Ok(()) }
    }

    /// Handles a job that was canceled.
    fn canceled(
        &self,
        event: &WebhookEvent,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send {
        async { Ok(()) }
    }

    /// Handles what this version cannot type: an output of another shape, or another status.
    fn unknown(
        &self,
        event: &WebhookEvent,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send {
        async { Ok(()) }
    }
}

impl<H: WebhookHandler> WebhookHandler for Arc<H> {
    async fn any(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        H::any(self, event).await
    }

    async fn diarization(&self, event: &TypedEvent<Diarization>) -> Result<(), HandlerError> {
        H::diarization(self, event).await
    }

    async fn identification(&self, event: &TypedEvent<Identification>) -> Result<(), HandlerError> {
        H::identification(self, event).await
    }

    async fn voiceprint(&self, event: &TypedEvent<Voiceprint>) -> Result<(), HandlerError> {
        H::voiceprint(self, event).await
    }

    async fn status_only(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        H::status_only(self, event).await
    }

    async fn failed(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        H::failed(self, event).await
    }

    async fn canceled(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        H::canceled(self, event).await
    }

    async fn unknown(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        H::unknown(self, event).await
    }
}
