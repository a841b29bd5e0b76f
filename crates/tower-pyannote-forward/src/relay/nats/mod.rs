//! Messages to NATS JetStream.

mod builder;
mod error;
mod objects;

use std::{fmt, sync::Arc, time::Duration};

use async_nats::{
    Client, ConnectErrorKind, ConnectOptions, ServerAddr,
    connection::State,
    header::{HeaderMap, NATS_EXPECTED_STREAM, NATS_MESSAGE_ID},
    jetstream::{
        Context,
        context::{ContextBuilder, GetStreamErrorKind},
        stream::{self, Stream},
    },
};
use bytes::Bytes;
use tokio::{sync::OnceCell, time};
use tower_pyannote::HandlerError;

use self::{builder::Settings, error::NatsError, objects::Objects};
use super::{Message, Publisher};

pub use self::builder::NatsBuilder;

/// Publishes messages to NATS JetStream.
///
/// The subject of a message is `pyannote.{kind}.{status}`. Its headers are those of [`Message::headers`], and:
///
/// | header | value |
/// |---|---|
/// | `Nats-Msg-Id` | the [event key](crate::event_key), by which JetStream drops duplicates within its window |
/// | `Nats-Expected-Stream` | the stream, so that no other stream takes the message |
/// | `pyannote-object-bucket` | of a large body only: the bucket of the Object Store that has the body |
/// | `pyannote-object-name` | of a large body only: the name of the object, which is the event key |
/// | `pyannote-object-size` | of a large body only: its length in bytes |
/// | `pyannote-object-sha256` | of a large body only: its SHA-256 as 64 hex digits |
///
/// The payload is the body as it was received. If the body and the headers exceed the server's `max_payload`, or the
/// largest message of the stream, the payload is empty, and the body is an object. The object is stored before the message
/// is published, and stays when the same message is published again.
///
/// A message is published when the stream has acknowledged it. JetStream writes an acknowledged message to its file at once,
/// and flushes the file to the disk later, unless the server sets `sync_interval: always`.
///
/// If the process is killed while it stores an object, chunks without an object stay in the bucket. The next upload of the same
/// body deletes them. An event therefore leaves at most one body in the bucket, until the body is older than the bucket's
/// `max_age`.
///
/// [`Relay::nats`](crate::Relay::nats) creates a publisher with its own connection. Cloning is cheap.
#[derive(Clone)]
pub struct NatsPublisher {
    inner: Arc<Inner>,
}

struct Inner {
    source: Source,
    settings: Settings,
    /// The connection and the stream, from the first message on.
    ready: OnceCell<Ready>,
}

enum Source {
    Servers(Vec<ServerAddr>, Box<ConnectOptions>),
    Client(Client),
}

struct Ready {
    context: Context,
    /// The largest message of the stream, in bytes.
    largest: Option<usize>,
    objects: Objects,
}

impl NatsPublisher {
    async fn ready(&self) -> Result<&Ready, NatsError> {
        let inner = &*self.inner;
        inner.ready.get_or_try_init(|| inner.prepare()).await
    }

    async fn send(&self, message: &Message) -> Result<(), NatsError> {
        let ready = self.ready().await?;
        let settings = &self.inner.settings;
        ready.connected(settings.timeout).await?;
        let mut headers = HeaderMap::new();
        for (name, value) in message.headers() {
            headers.insert(name, value);
        }
        headers.insert(NATS_MESSAGE_ID, message.id());
        headers.insert(NATS_EXPECTED_STREAM, settings.stream.as_str());
        let body = message.body();
        let payload = match length(&headers).saturating_add(body.len()) <= ready.limit() {
            true => body.clone(),
            false => {
                ready.objects.keep(message.id(), body, &mut headers).await?;
                Bytes::new()
            }
        };
        let subject = format!("{}.{}", settings.subject, message.topic());
        let published = async {
            let ack = ready
                .context
                .publish_with_headers(subject, headers, payload)
                .await?;
            ack.await
        };
        match time::timeout(settings.timeout, published).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(NatsError::because(
                format!("the stream {} did not take the message", settings.stream),
                error,
            )),
            Err(_) => Err(NatsError::new(format!(
                "the stream {} did not acknowledge the message within {:?}",
                settings.stream, settings.timeout
            ))),
        }
    }
}

impl Publisher for NatsPublisher {
    async fn publish(&self, message: &Message) -> Result<(), HandlerError> {
        self.send(message).await.map_err(HandlerError::new)
    }
}

impl Ready {
    /// Waits until the client is connected. While it is not, the client would keep each message in memory.
    async fn connected(&self, timeout: Duration) -> Result<(), NatsError> {
        let client = self.context.client();
        let connected = async {
            while client.connection_state() != State::Connected {
                time::sleep(POLL).await;
            }
        };
        let waited = time::timeout(timeout, connected).await;
        waited.map_err(|_| {
            NatsError::new(format!("no connection to the NATS server for {timeout:?}"))
        })
    }

    /// Returns the most bytes of a message with its headers.
    fn limit(&self) -> usize {
        let server = self.context.client().max_payload();
        self.largest.map_or(server, |stream| stream.min(server))
    }
}

impl Inner {
    async fn prepare(&self) -> Result<Ready, NatsError> {
        let stream = &self.settings.stream;
        let context = self.context().await?;
        let found = match self.find(&context).await? {
            Some(found) => found,
            None if self.settings.create => {
                let created = context.create_stream(stream::Config {
                    name: stream.clone(),
                    subjects: vec![format!("{}.>", self.settings.subject)],
                    duplicate_window: self.settings.duplicate_window,
                    max_age: self.settings.max_age,
                    ..stream::Config::default()
                });
                created.await.map_err(|error| {
                    NatsError::because(format!("the stream {stream} cannot be created"), error)
                })?
            }
            None => {
                return Err(NatsError::new(format!(
                    "there is no stream {stream}: create it, or set create_if_absent"
                )));
            }
        };
        let largest = found.cached_info().config.max_message_size;
        Ok(Ready {
            largest: usize::try_from(largest).ok().filter(|largest| *largest > 0),
            objects: Objects::new(context.clone(), &self.settings),
            context,
        })
    }

    /// Connects to the server.
    async fn context(&self) -> Result<Context, NatsError> {
        let timeout = self.settings.timeout;
        let client = match &self.source {
            Source::Client(client) => client.clone(),
            Source::Servers(servers, options) => {
                let options = ConnectOptions::clone(options)
                    .name(concat!(
                        "tower-pyannote-forward/",
                        env!("CARGO_PKG_VERSION")
                    ))
                    .connection_timeout(timeout)
                    .client_capacity(CAPACITY);
                let connected = options.connect(servers.as_slice()).await;
                connected.map_err(|error| {
                    let cause = NatsError::because(cause(error.kind()).to_owned(), error);
                    NatsError::because("cannot connect to the NATS server".to_owned(), cause)
                })?
            }
        };
        Ok(ContextBuilder::new().timeout(timeout).build(client))
    }

    /// Returns the stream, if the server has it.
    async fn find(&self, context: &Context) -> Result<Option<Stream>, NatsError> {
        let stream = &self.settings.stream;
        match context.get_stream(stream).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_absent(&error.kind()) => Ok(None),
            Err(error) => Err(NatsError::because(
                format!("the stream {stream} cannot be read"),
                error,
            )),
        }
    }
}

/// Returns why there is no connection to the server.
fn cause(kind: ConnectErrorKind) -> &'static str {
    match kind {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            "the server refuses the user, the password or the token"
        }
        ConnectErrorKind::Dns | ConnectErrorKind::Io | ConnectErrorKind::TimedOut => {
            "the server cannot be reached at the URL"
        }
        ConnectErrorKind::Tls => "the server does not speak TLS, or its certificate is not trusted",
        _ => "the client failed",
    }
}

fn is_absent(kind: &GetStreamErrorKind) -> bool {
    matches!(kind, GetStreamErrorKind::JetStream(error) if error.error_code() == STREAM_NOT_FOUND)
}

/// Returns the length of the headers as the protocol writes them.
fn length(headers: &HeaderMap) -> usize {
    let lines = headers.iter().flat_map(|(name, values)| {
        let name: &str = name.as_ref();
        values
            .iter()
            .map(move |value| name.len() + ": \r\n".len() + value.as_str().len())
    });
    "NATS/1.0\r\n\r\n".len() + lines.sum::<usize>()
}

impl fmt::Debug for NatsPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the servers, whose addresses may hold a password.
        f.debug_struct("NatsPublisher")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

const STREAM_NOT_FOUND: async_nats::jetstream::ErrorCode =
    async_nats::jetstream::ErrorCode::STREAM_NOT_FOUND;

/// The most messages that wait to be written to the connection.
const CAPACITY: usize = 256;
const POLL: Duration = Duration::from_millis(20);
