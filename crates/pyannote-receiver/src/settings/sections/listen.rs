use std::time::Duration;

use clap::Args;

use crate::settings::values::{Private, Role, duration};

#[derive(Args)]
#[command(next_help_heading = "Endpoints")]
pub(crate) struct Listen {
    /// The address to listen on; 0.0.0.0 for all interfaces
    #[arg(
        id = "server.host",
        long = "host",
        value_name = "HOST",
        env = "WEBHOOK_SERVER_HOST",
        default_value = "127.0.0.1"
    )]
    pub(crate) host: String,

    /// The port to listen on; 0 for a free port
    #[arg(
        id = "server.port",
        short = 'p',
        long = "port",
        value_name = "PORT",
        env = "WEBHOOK_SERVER_PORT",
        default_value_t = 8000
    )]
    pub(crate) port: u16,

    /// The address of the pages for the operator (/, /page, /livez, /readyz, /health, /metrics); `none` serves them on the
    /// public address [default: 127.0.0.1 and the port after the public one]
    #[arg(
        id = "server.private_listen",
        long = "private-listen",
        env = "WEBHOOK_SERVER_PRIVATE_LISTEN",
        value_name = "HOST:PORT"
    )]
    pub(crate) private: Option<Private>,

    /// What this process does; several roles are separated by commas
    #[arg(
        id = "server.roles",
        long = "role",
        env = "WEBHOOK_SERVER_ROLES",
        value_name = "ROLE",
        value_delimiter = ',',
        value_enum,
        default_values_t = [Role::Receive, Role::Work]
    )]
    pub(crate) roles: Vec<Role>,

    /// How long requests and handlers in flight may take after a signal to stop
    #[arg(
        id = "server.drain_timeout",
        long = "drain-timeout",
        env = "WEBHOOK_SERVER_DRAIN_TIMEOUT",
        value_name = "DURATION",
        default_value = "10s",
        value_parser = duration
    )]
    pub(crate) drain_timeout: Duration,
}
