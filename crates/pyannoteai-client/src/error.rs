use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::error_kind::ClientErrorKind;
use crate::invalid_request::InvalidRequest;

/// An error of a call of the [`Client`](crate::Client).
///
/// Contains neither the API key nor a presigned URL, even if the response repeats them.
///
/// # Example: which submissions may be repeated
///
/// ```
/// use pyannoteai_client::{ClientError, ClientErrorKind};
///
/// fn may_submit_again(error: &ClientError) -> bool {
///     !error.may_have_been_submitted() && error.kind() != ClientErrorKind::InvalidRequest
/// }
///
/// fn report(error: &ClientError) {
///     eprintln!("{error}");
///     for error in error.field_errors() {
///         eprintln!("  {}: {}", error.field, error.message);
///     }
/// }
/// ```
pub struct ClientError(Box<Details>);

struct Details {
    kind: ClientErrorKind,
    response: ErrorResponse,
    context: Option<&'static str>,
    body_sent: bool,
    may_have_been_submitted: bool,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The contents of a response that reports an error.
#[derive(Debug, Default)]
pub(crate) struct ErrorResponse {
    pub(crate) status: Option<StatusCode>,
    pub(crate) message: Option<String>,
    pub(crate) fields: Vec<FieldError>,
    pub(crate) request_id: Option<String>,
    pub(crate) retry_after: Option<Duration>,
}

impl ClientError {
    /// Returns the category of the error.
    #[must_use]
    pub fn kind(&self) -> ClientErrorKind {
        self.0.kind
    }

    /// Returns the status of the response, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.0.response.status
    }

    /// Returns the API's message, cut to 1,000 characters.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.0.response.message.as_deref()
    }

    /// Returns the fields that the API, or a check before sending, found invalid.
    #[must_use]
    pub fn field_errors(&self) -> &[FieldError] {
        &self.0.response.fields
    }

    /// Returns the id under which pyannoteAI's support finds the request, if the response has one.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.response.request_id.as_deref()
    }

    /// Returns the pause that the API asked for, if the response is a 429 with one.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.response.retry_after
    }

    /// Returns whether pyannoteAI may have accepted the submission, so that submitting again may create a second job.
    ///
    /// This is so if the request was sent, at least in part, and no response refused it. Look for the job in
    /// [`Client::jobs`](crate::Client::jobs), or wait for its webhook. Only jobs that succeed are billed, but both jobs
    /// may.
    #[must_use]
    pub fn may_have_been_submitted(&self) -> bool {
        self.0.may_have_been_submitted
    }

    pub(crate) fn new(kind: ClientErrorKind) -> Self {
        Self(Box::new(Details {
            kind,
            response: ErrorResponse::default(),
            context: None,
            body_sent: false,
            may_have_been_submitted: false,
            source: None,
        }))
    }

    pub(crate) fn from_response(
        kind: ClientErrorKind,
        status: StatusCode,
        mut response: ErrorResponse,
    ) -> Self {
        let mut error = Self::new(kind);
        response.status = Some(status);
        error.0.response = response;
        error
    }

    /// Takes the URL out of the error, because a presigned URL is a credential.
    pub(crate) fn from_reqwest(error: reqwest::Error) -> Self {
        let kind = if error.is_connect() {
            ClientErrorKind::Connect
        } else if error.is_timeout() {
            ClientErrorKind::Timeout
        } else {
            ClientErrorKind::Transport
        };
        Self::new(kind).with_source(error.without_url())
    }

    pub(crate) fn decode(context: &'static str) -> Self {
        Self::new(ClientErrorKind::Decode).with_context(context)
    }

    pub(crate) fn io(context: &'static str, source: std::io::Error) -> Self {
        Self::new(ClientErrorKind::Io)
            .with_context(context)
            .with_source(source)
    }

    fn with_context(mut self, context: &'static str) -> Self {
        self.0.context = Some(context);
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Sets whether any part of the request's body was handed to the connection.
    pub(crate) fn with_body_sent(mut self, sent: bool) -> Self {
        self.0.body_sent = sent;
        self
    }

    /// Marks the error as that of a submission, and decides whether a job may exist.
    pub(crate) fn of_submission(mut self) -> Self {
        // A 408 says that the server stopped waiting, not that it created no job.
        let refused = self.status().is_some_and(|status| {
            status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT
        });
        self.0.may_have_been_submitted = self.0.body_sent && !refused;
        self
    }

    pub(crate) fn body_sent(&self) -> bool {
        self.0.body_sent
    }
}

impl From<InvalidRequest> for ClientError {
    fn from(invalid: InvalidRequest) -> Self {
        let mut error = Self::new(ClientErrorKind::InvalidRequest);
        error.0.response.fields.push(FieldError {
            field: invalid.field().to_owned(),
            message: invalid.reason().to_owned(),
        });
        error.with_source(invalid)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.kind.describe())?;
        if let Some(status) = self.status() {
            write!(f, " (status {})", status.as_u16())?;
        }
        if let Some(context) = self.0.context {
            write!(f, ": {context}")?;
        }
        if let Some(message) = self.message() {
            write!(f, ": {message}")?;
        }
        if let Some(id) = self.request_id() {
            write!(f, " (request {id})")?;
        }
        if self.may_have_been_submitted() {
            f.write_str("; the job may have been submitted: look for it before submitting again")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientError")
            .field("kind", &self.0.kind)
            .field("context", &self.0.context)
            .field("response", &self.0.response)
            .field("may_have_been_submitted", &self.0.may_have_been_submitted)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source: &(dyn Error + 'static) = self.0.source.as_deref()?;
        Some(source)
    }
}

/// An invalid field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldError {
    /// The field, by the API's name.
    pub field: String,
    /// What is wrong with the field.
    pub message: String,
}
