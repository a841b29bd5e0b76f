use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, builder::BoolishValueParser};

use crate::{forward::Endpoint, settings::values::duration};

// Other programs that get the events.
#[derive(Args)]
#[command(next_help_heading = "Other programs")]
pub(crate) struct PassOn {
    /// Post each event to this URL; repeat the flag, or separate URLs with commas, for several
    #[arg(
        id = "forward.urls",
        long = "forward",
        env = "WEBHOOK_SERVER_FORWARD",
        hide_env_values = true,
        value_name = "URL",
        value_delimiter = ','
    )]
    pub(crate) urls: Vec<String>,

    /// A file that contains the Standard Webhooks secret, whsec_…, that signs the requests of --forward; during a rotation
    /// both, as new,old
    #[arg(
        id = "forward.secret_file",
        long = "forward-secret-file",
        env = "WEBHOOK_SERVER_FORWARD_SECRET_FILE",
        value_name = "FILE"
    )]
    secret_file: Option<PathBuf>,

    /// Let host names in --forward resolve to this machine and to private networks; IP addresses in URLs are always allowed
    #[arg(
        id = "forward.allow_private",
        long = "forward-allow-private",
        env = "WEBHOOK_SERVER_FORWARD_ALLOW_PRIVATE",
        value_name = "BOOL",
        hide_possible_values = true,
        default_value_t = false,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::Set
    )]
    pub(crate) allow_private: bool,

    /// How long posting one event to --forward may take
    #[arg(
        id = "forward.timeout",
        long = "forward-timeout",
        env = "WEBHOOK_SERVER_FORWARD_TIMEOUT",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = duration
    )]
    pub(crate) timeout: Duration,

    /// Publish each event to NATS JetStream on this server: nats://HOST:PORT, or tls://USER:PASSWORD@HOST:PORT
    #[arg(
        id = "relay.url",
        long = "relay",
        env = "WEBHOOK_SERVER_RELAY",
        hide_env_values = true,
        value_name = "URL"
    )]
    relay: Option<String>,

    /// A file that contains the URL of --relay
    #[arg(
        id = "relay.url_file",
        long = "relay-file",
        env = "WEBHOOK_SERVER_RELAY_FILE",
        value_name = "FILE"
    )]
    relay_file: Option<PathBuf>,

    /// The stream of --relay; created if it does not exist, as is the bucket of large bodies
    #[arg(
        id = "relay.stream",
        long = "relay-stream",
        env = "WEBHOOK_SERVER_RELAY_STREAM",
        value_name = "NAME",
        default_value = "PYANNOTE"
    )]
    pub(crate) stream: String,

    /// The endpoints of the settings file, by name.
    #[arg(skip)]
    pub(crate) endpoints: BTreeMap<String, Endpoint>,
}

impl PassOn {
    /// Returns whether a setting names a program that gets the events.
    pub(crate) fn is_used(&self) -> bool {
        let relays = self.relay.is_some() || self.relay_file.is_some();
        relays || !self.urls.is_empty() || !self.endpoints.is_empty()
    }
}
