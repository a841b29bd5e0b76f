use std::{net::IpAddr, time::Duration};

use clap::{Args, builder::RangedU64ValueParser};

use crate::settings::values::{duration, size};

#[derive(Args, Clone, Debug, PartialEq)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Limits {
    /// The maximum length of a body; a longer one is refused with 413
    #[arg(
        id = "limits.body",
        long = "body-limit",
        env = "WEBHOOK_SERVER_BODY_LIMIT",
        value_name = "SIZE",
        default_value = "128 MiB",
        value_parser = size
    )]
    pub(crate) body: usize,

    /// The memory for all bodies that arrive at the same time, with 192 KiB for each connection
    #[arg(
        id = "limits.memory",
        long = "body-memory",
        env = "WEBHOOK_SERVER_BODY_MEMORY",
        value_name = "SIZE",
        default_value = "256 MiB",
        value_parser = size
    )]
    pub(crate) memory: usize,

    /// How long a body may take to arrive
    #[arg(
        id = "limits.body_timeout",
        long = "body-timeout",
        env = "WEBHOOK_SERVER_BODY_TIMEOUT",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = duration
    )]
    pub(crate) body_timeout: Duration,

    /// How much the timestamp of a delivery may differ from the clock
    #[arg(
        id = "limits.tolerance",
        long = "tolerance",
        env = "WEBHOOK_SERVER_TOLERANCE",
        value_name = "DURATION",
        default_value = "10m",
        value_parser = duration
    )]
    pub(crate) tolerance: Duration,

    /// The maximum number of connections; a further one replaces the slowest
    #[arg(
        id = "limits.connections",
        long = "max-connections",
        env = "WEBHOOK_SERVER_MAX_CONNECTIONS",
        value_name = "COUNT",
        default_value_t = 192,
        value_parser = RangedU64ValueParser::<usize>::new().range(16..=4096)
    )]
    pub(crate) connections: usize,

    /// The maximum number of connections of one address; 0 for no limit. With --client-header, the maximum number of requests
    /// in flight of one client
    #[arg(
        id = "limits.per_client",
        long = "max-per-client",
        env = "WEBHOOK_SERVER_MAX_PER_CLIENT",
        value_name = "COUNT",
        default_value_t = 0
    )]
    pub(crate) per_client: usize,

    /// The header in which a trusted proxy names the client, such as X-Forwarded-For; its last address counts
    #[arg(
        id = "limits.client_header",
        long = "client-header",
        env = "WEBHOOK_SERVER_CLIENT_HEADER",
        value_name = "NAME"
    )]
    pub(crate) client_header: Option<http::HeaderName>,

    /// The addresses of the proxies whose --client-header is trusted
    #[arg(
        id = "limits.trusted_proxies",
        long = "trusted-proxy",
        env = "WEBHOOK_SERVER_TRUSTED_PROXIES",
        value_name = "IP",
        value_delimiter = ',',
        default_values_t = [IpAddr::from([127, 0, 0, 1])]
    )]
    pub(crate) trusted_proxies: Vec<IpAddr>,
}

impl Default for Limits {
    /// The defaults of the flags, without the environment.
    fn default() -> Self {
        Self {
            body: 128 << 20,
            memory: 256 << 20,
            body_timeout: Duration::from_secs(30),
            tolerance: Duration::from_secs(600),
            connections: 192,
            per_client: 0,
            client_header: None,
            trusted_proxies: vec![IpAddr::from([127, 0, 0, 1])],
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::{Args, Limits};

    #[test]
    fn default_limits_are_those_of_the_flags() {
        let command = Limits::augment_args(clap::Command::new("test"));
        let matches = command.get_matches_from(["test"]);
        let limits = Limits::from_arg_matches(&matches).unwrap();
        assert_eq!(limits, Limits::default());
    }
}
