use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;

use super::rejection::{MissingEvent, TypedEventRejection};
use crate::event::{EventOutput, typed::TypedEvent, webhook_event::WebhookEvent};
use crate::offload;
use crate::telemetry::log_event;

/// Extracts the event that [`PyannoteSignatureLayer`](crate::PyannoteSignatureLayer) verified. Needs feature `axum`.
///
/// # Errors
///
/// Returns [`MissingEvent`], answered with 500, if the layer is not around this route. Logs it at `error`.
///
/// # Example
///
/// ```
/// use axum::{Router, http::StatusCode, routing::post};
/// use tower_pyannote::{PyannoteSignatureLayer, WebhookEvent, WebhookSecret};
///
/// async fn webhook(event: WebhookEvent) -> StatusCode {
///     println!("job {} {}", event.job_id(), event.status());
///     StatusCode::OK
/// }
///
/// let layer = PyannoteSignatureLayer::new(WebhookSecret::new("whs_example")?);
/// let app: Router = Router::new().route("/webhook", post(webhook)).layer(layer);
/// # let _ = app;
/// # Ok::<_, tower_pyannote::verify::SecretError>(())
/// ```
impl<S: Sync> FromRequestParts<S> for WebhookEvent {
    type Rejection = MissingEvent;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingEvent> {
        event_of(parts)
    }
}

/// Extracts an event whose output is a `T`. Needs feature `axum`.
///
/// pyannoteAI retries a refused delivery and then drops it, so use this only where all events are a `T`. Elsewhere use
/// `Option<TypedEvent<T>>` or [`AckOthers<T>`](super::AckOthers).
///
/// # Errors
///
/// Returns [`TypedEventRejection`]: answered with 422 if the output is not a `T`, and with 500 if the layer is not around this
/// route.
impl<T: EventOutput, S: Sync> FromRequestParts<S> for TypedEvent<T> {
    type Rejection = TypedEventRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, TypedEventRejection> {
        let event = event_of(parts).map_err(TypedEventRejection::MissingEvent)?;
        offload::type_output(&event).await;
        event.try_into().map_err(TypedEventRejection::WrongKind)
    }
}

/// Extracts an event whose output is a `T`, and `None` for any other event, which the handler then answers. Needs feature
/// `axum`.
///
/// # Errors
///
/// Returns [`MissingEvent`], answered with 500, if the layer is not around this route.
impl<T: EventOutput, S: Sync> OptionalFromRequestParts<S> for TypedEvent<T> {
    type Rejection = MissingEvent;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &S,
    ) -> Result<Option<Self>, MissingEvent> {
        match <Self as FromRequestParts<S>>::from_request_parts(parts, state).await {
            Ok(event) => Ok(Some(event)),
            Err(TypedEventRejection::WrongKind(_)) => Ok(None),
            Err(TypedEventRejection::MissingEvent(error)) => Err(error),
        }
    }
}

fn event_of(parts: &Parts) -> Result<WebhookEvent, MissingEvent> {
    let event = parts.extensions.get().cloned();
    event.ok_or_else(|| {
        log_event!(
            ERROR,
            path = parts.uri.path(),
            "no verified event in the request: put PyannoteSignatureLayer around this route"
        );
        MissingEvent
    })
}
