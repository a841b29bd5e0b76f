use std::{future::Future, sync::Arc};

use super::error::HandlerError;
use crate::event::{
    diarization::Diarization, identification::Identification, typed::TypedEvent,
    voiceprint::Voiceprint, webhook_event::WebhookEvent,
};

/// Handles events, with one method per kind of event. By default the methods do nothing.
///
/// For every event, [`any`](Self::any) runs first, and then the one method that fits:
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
/// If `any` returns an error, the other method does not run.
///
/// **Handlers must be idempotent.** Delivery is at least once: pyannoteAI repeats a delivery that was not answered in time,
/// and after a failure of one handler, all handlers may get the event again. [`WebhookEvent::job_id`] and
/// [`WebhookEvent::status`] together identify an event.
///
/// pyannoteAI signed the event, but its text is untrusted data: job ids, labels and transcripts may hold anything.
///
/// Implement the methods as `async fn`. Their futures must be `Send`.
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
    /// Returns whether the handler needs the output typed. Default: true.
    ///
    /// Typing takes some milliseconds per megabyte, and memory. Return false in a handler that only stores events or passes
    /// them on. The registry then calls [`any`](Self::any), [`status_only`](Self::status_only), [`failed`](Self::failed) and
    /// [`canceled`](Self::canceled), and [`unknown`](Self::unknown) for an unknown status. It calls no method for an output,
    /// even if another handler needs the output. [`WebhookEvent::output`] still works.
    ///
    /// The registry calls this method once, when the handler is registered.
    fn needs_output(&self) -> bool {
        true
    }

    /// Handles every event, before the method that fits the event.
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

    /// Handles a job that succeeded and whose event has no output, as `webhookStatusOnly` asks for.
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

    /// Handles an output or a status that this version does not know.
    fn unknown(
        &self,
        event: &WebhookEvent,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send {
        async { Ok(()) }
    }
}

impl<H: WebhookHandler> WebhookHandler for Arc<H> {
    fn needs_output(&self) -> bool {
        H::needs_output(self)
    }

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
