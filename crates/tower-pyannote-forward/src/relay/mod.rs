//! A handler that publishes events to a broker.

#[cfg(feature = "nats")]
pub(crate) mod nats;

use std::{fmt, future::Future, sync::Arc};

use bytes::Bytes;
use tower_pyannote::{HandlerError, WebhookEvent, WebhookHandler};

use crate::{
    cloud_event::{CloudEvent, Source},
    config_error::ConfigError,
    filter::EventFilter,
    telemetry,
};

/// Publishes messages to a broker, for a [`Relay`].
///
/// With the feature `nats`, `NatsPublisher` publishes to NATS JetStream. Implement this trait for another broker; the
/// example `publisher.rs` of this crate is a complete one.
///
/// An implementation returns `Ok` only when the broker has acknowledged the message, and returns a retryable error in doubt.
/// The publisher may then get the same message a second time. If the broker recognizes duplicates, pass it [`Message::id`].
pub trait Publisher: Send + Sync + 'static {
    /// Publishes a message, and waits until the broker has acknowledged it.
    ///
    /// # Errors
    ///
    /// Returns an error if the broker did not acknowledge the message; a [permanent](HandlerError::permanent) one only if a
    /// retry cannot help.
    fn publish(&self, message: &Message) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

impl<P: Publisher> Publisher for Arc<P> {
    async fn publish(&self, message: &Message) -> Result<(), HandlerError> {
        P::publish(self, message).await
    }
}

/// An event as a message of a broker, in the binary mode of CloudEvents.
#[derive(Clone, Debug)]
pub struct Message {
    id: String,
    topic: String,
    headers: Vec<(&'static str, String)>,
    event: WebhookEvent,
}

impl Message {
    fn of(event: &WebhookEvent, source: &Source) -> Self {
        let described = CloudEvent::of(event, source);
        Self {
            headers: described.headers().collect(),
            topic: described.topic(),
            id: described.id,
            event: event.clone(),
        }
    }

    /// Returns the [event key](crate::event_key), which is the same for all attempts to publish the event.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns `{kind}.{status}`, such as `diarization.succeeded`, of lower-case words from a fixed list.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns the headers: `content-type` and the attributes of CloudEvents with the prefix `ce-`. Values are printable
    /// ASCII.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// Borrows the body as it was received.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        self.event.raw()
    }

    /// Borrows the event.
    #[must_use]
    pub fn event(&self) -> &WebhookEvent {
        &self.event
    }
}

/// A handler that publishes each event to a broker, through a [`Publisher`].
///
/// The handler succeeds when the broker has acknowledged the message. Behind an inbox, an event is published at least once:
/// if an acknowledgement is lost, the same message, with the same [id](Message::id), is published again. The inbox handles
/// the events of a job one at a time and in their order. A later event waits for the retries of an earlier one.
///
/// # Example: a publisher that prints
///
/// ```
/// use tower_pyannote::{HandlerError, HandlerRegistry};
/// use tower_pyannote_forward::{Message, Publisher, Relay};
///
/// struct Print;
///
/// impl Publisher for Print {
///     async fn publish(&self, message: &Message) -> Result<(), HandlerError> {
///         println!("{} {} {} bytes", message.topic(), message.id(), message.body().len());
///         Ok(())
///     }
/// }
///
/// let registry = HandlerRegistry::new().register("relay", Relay::new(Print))?;
/// # Ok::<(), tower_pyannote::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Relay<P> {
    publisher: P,
    filter: EventFilter,
    source: Source,
}

impl<P: Publisher> Relay<P> {
    /// Creates a handler that publishes every event.
    pub fn new(publisher: P) -> Self {
        Self {
            publisher,
            filter: EventFilter::new(),
            source: Source::default(),
        }
    }

    /// Sets which events are published. Default: all.
    pub fn with_filter(mut self, filter: EventFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets the attribute `source` of CloudEvents. Default: `https://api.pyannote.ai`.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if the value is not a URI reference of at most 1024 characters.
    pub fn with_source(mut self, source: &str) -> Result<Self, ConfigError> {
        self.source = Source::new(source)?;
        Ok(self)
    }

    /// Publishes an event if the filter accepts it. The handler calls this method for every event.
    ///
    /// # Errors
    ///
    /// Returns the error of the publisher.
    pub async fn publish(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        if !self.filter.accepts(event) {
            return Ok(());
        }
        let message = Message::of(event, &self.source);
        let published = self.publisher.publish(&message).await;
        let outcome = if published.is_ok() {
            "published"
        } else {
            "failed"
        };
        telemetry::relayed(message.topic(), outcome);
        published
    }
}

impl<P: Publisher> WebhookHandler for Relay<P> {
    fn needs_output(&self) -> bool {
        false
    }

    async fn any(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        self.publish(event).await
    }
}

impl<P> fmt::Debug for Relay<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}
