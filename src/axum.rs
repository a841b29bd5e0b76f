//! Extractors for axum: [`WebhookEvent`](crate::WebhookEvent), [`TypedEvent`](crate::TypedEvent) and [`AckOthers`].

use std::fmt;
use std::ops::Deref;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use crate::event::{EventOutput, TypedEvent, WebhookEvent, WrongKind};
use crate::offload;

/// The event that [`PyannoteSignatureLayer`](crate::PyannoteSignatureLayer) verified.
///
/// # Errors
///
/// [`MissingEvent`], answered by 500: the layer is not around this route.
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
        parts.extensions.get().cloned().ok_or(MissingEvent)
    }
}

/// An event whose output is a `T`; one of another kind is refused with 422.
///
/// pyannoteAI repeats a refused delivery and then drops it, so take this where nothing but `T` is expected, and
/// `Option<TypedEvent<T>>` or [`AckOthers<T>`] elsewhere.
///
/// # Errors
///
/// [`TypedEventRejection`].
impl<T: EventOutput, S: Sync> FromRequestParts<S> for TypedEvent<T> {
    type Rejection = TypedEventRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, TypedEventRejection> {
        let event = <WebhookEvent as FromRequestParts<S>>::from_request_parts(parts, state);
        let event = event.await.map_err(TypedEventRejection::MissingEvent)?;
        offload::type_output(&event).await;
        event.try_into().map_err(TypedEventRejection::WrongKind)
    }
}

/// An event whose output is a `T`, or `None` for one of another kind, which is then the handler's to answer.
///
/// # Errors
///
/// [`MissingEvent`], answered by 500.
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

/// Extractor of a [`TypedEvent<T>`] that acknowledges every other event with 200, without calling the handler.
///
/// An event of another kind is lost by that: take it where the others are wanted by nobody.
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

/// There is no event in the request's extensions; answered by 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingEvent;

impl fmt::Display for MissingEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no webhook event: put PyannoteSignatureLayer around this route")
    }
}

impl std::error::Error for MissingEvent {}

impl IntoResponse for MissingEvent {
    fn into_response(self) -> Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

/// Why a [`TypedEvent`] could not be extracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypedEventRejection {
    /// There is no event; answered by 500.
    MissingEvent(MissingEvent),
    /// The event is of another kind; answered by 422.
    WrongKind(WrongKind),
}

impl fmt::Display for TypedEventRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingEvent(error) => error.fmt(f),
            Self::WrongKind(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TypedEventRejection {}

impl IntoResponse for TypedEventRejection {
    fn into_response(self) -> Response {
        match self {
            Self::MissingEvent(error) => error.into_response(),
            Self::WrongKind(_) => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
        }
    }
}

/// Why an [`AckOthers`] did not call its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AckOthersRejection {
    /// There is no event; answered by 500.
    MissingEvent(MissingEvent),
    /// The event is of another kind; acknowledged with 200.
    Acknowledged(WrongKind),
}

impl fmt::Display for AckOthersRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingEvent(error) => error.fmt(f),
            Self::Acknowledged(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AckOthersRejection {}

impl IntoResponse for AckOthersRejection {
    fn into_response(self) -> Response {
        match self {
            Self::MissingEvent(error) => error.into_response(),
            Self::Acknowledged(_) => StatusCode::OK.into_response(),
        }
    }
}
