use std::{fmt, sync::Arc, time::Duration};

use async_nats::{Client, ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use tokio::sync::OnceCell;
use tower_pyannote::HandlerError;

use super::{Inner, NatsPublisher, Source};
use crate::{config_error::ConfigError, relay::Relay};

/// Builds a [`Relay`] to NATS JetStream; [`Relay::nats`] creates it.
#[must_use = "a builder does nothing until it builds a handler"]
pub struct NatsBuilder {
    servers: Servers,
    settings: Settings,
}

enum Servers {
    Addresses(String),
    Client(Client),
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) stream: String,
    pub(super) bucket: String,
    pub(super) subject: String,
    pub(super) create: bool,
    pub(super) duplicate_window: Duration,
    pub(super) max_age: Duration,
    pub(super) timeout: Duration,
}

impl Relay<NatsPublisher> {
    /// Creates a builder for the stream on the server at a URL: `nats://HOST:PORT`, or `tls://HOST:PORT` for a connection
    /// that must be encrypted.
    ///
    /// The URL may have a user and a password, `nats://USER:PASSWORD@HOST`, or a token, `nats://TOKEN@HOST`. Several servers of
    /// a cluster are separated by commas, and share the user. [`NatsPublisher::over`] takes a client with other credentials.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use tower_pyannote::HandlerRegistry;
    /// use tower_pyannote_forward::Relay;
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let relay = Relay::nats("nats://127.0.0.1:4222", "PYANNOTE")
    ///     .with_create_if_absent(true)
    ///     .build()?;
    /// let registry = HandlerRegistry::new().register("relay", relay)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn nats(url: impl Into<String>, stream: impl Into<String>) -> NatsBuilder {
        NatsBuilder::new(Servers::Addresses(url.into()), stream.into())
    }
}

impl NatsPublisher {
    /// Creates a builder for the stream behind a client of your own, for credentials or TLS that a URL cannot name.
    ///
    /// The client is a type of [`async_nats`], so its version is part of this crate's API on purpose.
    pub fn over(client: Client, stream: impl Into<String>) -> NatsBuilder {
        NatsBuilder::new(Servers::Client(client), stream.into())
    }
}

impl NatsBuilder {
    fn new(servers: Servers, stream: String) -> Self {
        Self {
            servers,
            settings: Settings {
                bucket: format!("{stream}-bodies"),
                stream,
                subject: "pyannote".to_owned(),
                create: false,
                duplicate_window: Duration::from_secs(60 * 60),
                max_age: Duration::from_secs(30 * 24 * 60 * 60),
                timeout: Duration::from_secs(5),
            },
        }
    }

    /// Sets whether the stream and the bucket are created if they do not exist. Default: false.
    ///
    /// A created stream takes the subjects `pyannote.>`, keeps messages in files, and has the
    /// [window](Self::with_duplicate_window) and the [age](Self::with_max_age) of this builder. An existing stream is not
    /// changed.
    pub fn with_create_if_absent(mut self, create: bool) -> Self {
        self.settings.create = create;
        self
    }

    /// Sets the bucket of the Object Store for large bodies. Default: the name of the stream and `-bodies`.
    pub fn with_bucket(mut self, bucket: impl Into<String>) -> Self {
        self.settings.bucket = bucket.into();
        self
    }

    /// Sets the first token of the subject. Default: `pyannote`.
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.settings.subject = subject.into();
        self
    }

    /// Sets how long a created stream recognizes duplicates. Default: 1 h, longer than the inbox retries by default.
    pub fn with_duplicate_window(mut self, window: Duration) -> Self {
        self.settings.duplicate_window = window;
        self
    }

    /// Sets the age after which a created stream deletes messages, and a created bucket deletes objects. Default: 30 days.
    pub fn with_max_age(mut self, age: Duration) -> Self {
        self.settings.max_age = age;
        self
    }

    /// Sets how long to wait for a connection, for the acknowledgement of a message, and for that of each chunk of a large
    /// body. Default: 5 s.
    ///
    /// The timeout that the registry gives this handler counts too. Large bodies may need more than its 8 s.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// Builds the handler. It connects when it publishes the first event.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if a URL, a name or a duration is invalid.
    pub fn build(self) -> Result<Relay<NatsPublisher>, ConfigError> {
        self.publisher().map(Relay::new)
    }

    /// Builds the handler, connects, and checks that the stream exists. Creates the stream and the bucket if wanted.
    ///
    /// # Errors
    ///
    /// Returns an error as [`build`](Self::build) does, and if the server cannot be reached, refuses the connection, or has
    /// no such stream.
    pub async fn connect(self) -> Result<Relay<NatsPublisher>, HandlerError> {
        let publisher = self.publisher()?;
        let ready = publisher.ready().await?;
        if publisher.inner.settings.create {
            ready.objects.bucket().await?;
        }
        Ok(Relay::new(publisher))
    }

    /// Connects to the server, and returns whether it has the stream. Creates nothing.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`build`](Self::build), and an error if the server cannot be reached, refuses the connection, or does
    /// not let the user look for the stream.
    pub async fn has_stream(self) -> Result<bool, HandlerError> {
        let publisher = self.publisher()?;
        let context = publisher.inner.context().await?;
        let found = publisher.inner.find(&context).await?;
        Ok(found.is_some())
    }

    fn publisher(self) -> Result<NatsPublisher, ConfigError> {
        let Self { servers, settings } = self;
        let invalid = |setting, reason: &str| Err(ConfigError::new(setting, reason));
        for (setting, name) in [
            ("stream", &settings.stream),
            ("bucket", &settings.bucket),
            ("subject", &settings.subject),
        ] {
            let is_name = (1..=200).contains(&name.len())
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            if !is_name {
                return invalid(
                    setting,
                    "is not a name of 1 to 200 ASCII letters, digits, - and _",
                );
            }
        }
        if settings.timeout.is_zero() {
            return invalid("timeout", "is zero: give a longer time");
        }
        if settings.duplicate_window < Duration::from_millis(100)
            || settings.max_age < settings.duplicate_window
        {
            return invalid(
                "duplicate window",
                "must be at least 100 ms, and at most as long as the max_age",
            );
        }
        let source = match servers {
            Servers::Client(client) => Source::Client(client),
            Servers::Addresses(addresses) => {
                let parsed = addresses.split(',').map(|address| address.trim().parse());
                match parsed.collect::<Result<Vec<ServerAddr>, _>>() {
                    Ok(servers) => login(servers),
                    Err(_) => None,
                }
                // Without its reason, which may repeat the password.
                .ok_or_else(|| {
                    let reason =
                        "is not the URL of a NATS server: give one like nats://127.0.0.1:4222";
                    ConfigError::new("url", reason)
                })?
            }
        };
        Ok(NatsPublisher {
            inner: Arc::new(Inner {
                source,
                settings,
                ready: OnceCell::new(),
            }),
        })
    }
}

impl fmt::Debug for NatsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the servers, whose addresses may hold a password.
        f.debug_struct("NatsBuilder")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Removes users and passwords from the addresses, because the client ignores them there and may log addresses. The first user
/// becomes the client's login.
fn login(servers: Vec<ServerAddr>) -> Option<Source> {
    let decode = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8().ok()?;
        Some(decoded.into_owned())
    };
    let mut options = ConnectOptions::new();
    if let Some(server) = servers.iter().find(|server| server.has_user_pass()) {
        let user = decode(server.username()?)?;
        options = match server.password() {
            Some(password) => options.user_and_password(user, decode(password)?),
            None => options.token(user),
        };
    }
    let servers = servers.into_iter().map(|server| {
        let mut url = server.into_inner();
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        ServerAddr::from_url(url).ok()
    });
    let servers = servers.collect::<Option<_>>()?;
    Some(Source::Servers(servers, Box::new(options)))
}
