use std::ops::Deref;

use axum_core::extract::FromRequestParts;
use http::request::Parts;

use super::rejection::{AckOthersRejection, TypedEventRejection};
use crate::event::{EventOutput, typed::TypedEvent};

/// Extracts a [`TypedEvent<T>`], and answers every other event with 200 without calling the handler. Needs feature `axum`.
///
/// The other events are lost, so use it only where nothing needs them.
///
/// # Errors
///
/// Returns [`AckOthersRejection`]: answered with 200 if the output is not a `T`, and with 500 if the layer is not around this
/// route.
///
/// # Example
///
/// ```
/// use axum::{Router, routing::post};
/// use tower_pyannote::{axum::AckOthers, Diarization, PyannoteSignatureLayer, WebhookSecret};
///
/// async fn webhook(AckOthers(event): AckOthers<Diarization>) {
///     println!("{} turns", event.output().diarization.len());
/// }
///
/// let layer = PyannoteSignatureLayer::new(WebhookSecret::new("whs_example")?);
/// let app: Router = Router::new().route("/webhook", post(webhook)).layer(layer);
/// # let _ = app;
/// # Ok::<_, tower_pyannote::verify::SecretError>(())
/// ```
#[derive(Clone, Debug)]
pub struct AckOthers<T>(pub TypedEvent<T>);

impl<T: EventOutput> Deref for AckOthers<T> {
    type Target = TypedEvent<T>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T: EventOutput, S: Sync> FromRequestParts<S> for AckOthers<T> {
    type Rejection = AckOthersRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AckOthersRejection> {
        match <TypedEvent<T> as FromRequestParts<S>>::from_request_parts(parts, state).await {
            Ok(event) => Ok(Self(event)),
            Err(TypedEventRejection::WrongKind(other)) => {
                Err(AckOthersRejection::Acknowledged(other))
            }
            Err(TypedEventRejection::MissingEvent(error)) => {
                Err(AckOthersRejection::MissingEvent(error))
            }
        }
    }
}
