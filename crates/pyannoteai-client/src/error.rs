use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::error_kind::ClientErrorKind;
use crate::request::InvalidRequest;

/// Why a call of the [`Client`](crate::Client) did not succeed.
///
/// It shows neither the API key nor a presigned URL, even if the answer repeats them.
///
/// # Example: what may be submitted again
///
/// ```
/// use pyannoteai_client::{ClientError, ClientErrorKind};
///
/// fn may_submit_again(error: &ClientError) -> bool {
///     !error.may_have_been_submitted() && error.kind() != ClientErrorKind::InvalidRequest
/// }
///
/// fn complain(error: &ClientError) {
///     eprintln!("{error}");
///     for error in error.field_errors() {
///         eprintln!("  {}: {}", error.field, error.message);
///     }
/// }
/// ```
pub struct ClientError(Box<Inner>);

struct Inner {
    kind: ClientErrorKind,
    answer: Answer,
    context: Option<&'static str>,
    body_sent: bool,
    may_have_been_submitted: bool,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What an answer that tells of an error says.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: Option<StatusCode>,
    pub(crate) message: Option<String>,
    pub(crate) fields: Vec<FieldError>,
    pub(crate) request_id: Option<String>,
    pub(crate) retry_after: Option<Duration>,
}

impl ClientError {
    /// Returns what kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ClientErrorKind {
        self.0.kind
    }

    /// Returns the status of the answer, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.0.answer.status
    }

    /// Returns what the API says, at most 1,000 characters.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.0.answer.message.as_deref()
    }

    /// Returns what the API, or a check before sending, says of single fields.
    #[must_use]
    pub fn field_errors(&self) -> &[FieldError] {
        &self.0.answer.fields
    }

    /// Returns the id by which pyannoteAI's support finds the request, if the answer has one.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.answer.request_id.as_deref()
    }

    /// Returns how long the API asked to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.answer.retry_after
    }

    /// Tells whether this was a submission that pyannoteAI may have taken, so that submitting it again may bill a second
    /// job: the request was sent, in part at least, and no answer refused it.
    ///
    /// If so, look for the job in [`Client::jobs`](crate::Client::jobs), or wait for its webhook.
    #[must_use]
    pub fn may_have_been_submitted(&self) -> bool {
        self.0.may_have_been_submitted
    }

    pub(crate) fn new(kind: ClientErrorKind) -> Self {
        Self(Box::new(Inner {
            kind,
            answer: Answer::default(),
            context: None,
            body_sent: false,
            may_have_been_submitted: false,
            source: None,
        }))
    }

    pub(crate) fn answered(status: StatusCode, answer: Answer) -> Self {
        let mut error = Self::new(ClientErrorKind::of(status));
        error.0.answer = answer;
        error.0.answer.status = Some(status);
        error
    }

    pub(crate) fn of_storage(answer: Answer) -> Self {
        let mut error = Self::new(ClientErrorKind::Storage);
        error.0.answer = answer;
        error
    }

    pub(crate) fn decode(context: &'static str) -> Self {
        Self::new(ClientErrorKind::Decode).with_context(context)
    }

    pub(crate) fn io(context: &'static str, source: std::io::Error) -> Self {
        Self::new(ClientErrorKind::Io)
            .with_context(context)
            .with_source(source)
    }

    pub(crate) fn with_context(mut self, context: &'static str) -> Self {
        self.0.context = Some(context);
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Notes whether any of the request's body was handed to the connection.
    pub(crate) fn with_body_sent(mut self, sent: bool) -> Self {
        self.0.body_sent = sent;
        self
    }

    pub(crate) fn of_submission(mut self) -> Self {
        // 408 says that the server tired of waiting, not that it took nothing.
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

impl From<reqwest::Error> for ClientError {
    fn from(error: reqwest::Error) -> Self {
        let kind = if error.is_connect() {
            ClientErrorKind::Connect
        } else if error.is_timeout() {
            ClientErrorKind::Timeout
        } else {
            ClientErrorKind::Transport
        };
        // A presigned URL is as good as a password.
        Self::new(kind).with_source(error.without_url())
    }
}

impl From<InvalidRequest> for ClientError {
    fn from(invalid: InvalidRequest) -> Self {
        let mut error = Self::new(ClientErrorKind::InvalidRequest);
        error.0.answer.fields.push(FieldError {
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
            f.write_str("; the job may have been submitted all the same")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientError")
            .field("kind", &self.0.kind)
            .field("context", &self.0.context)
            .field("answer", &self.0.answer)
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

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldError {
    /// The field, as the API calls it.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl FieldError {
    pub(crate) fn new(field: String, message: String) -> Self {
        Self { field, message }
    }
}
