use std::{
    env,
    io::{self, IsTerminal},
};

use tracing_subscriber::{EnvFilter, fmt::Subscriber};

use crate::failure::Failure;

/// Logs to stderr: lines for people if that is a terminal, else JSON.
pub fn install(debug: bool) -> Result<(), Failure> {
    let filter = match env::var(RUST_LOG) {
        Ok(filter) if !filter.trim().is_empty() => EnvFilter::try_new(filter)
            .map_err(|error| Failure::usage(format!("{RUST_LOG}: {error}")))?,
        _ if debug => EnvFilter::new("debug"),
        _ => EnvFilter::new("info"),
    };
    let terminal = io::stderr().is_terminal();
    let subscriber = Subscriber::builder()
        .with_env_filter(filter)
        .with_ansi(terminal)
        .with_writer(io::stderr);
    if terminal {
        subscriber.init();
    } else {
        subscriber
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .init();
    }
    Ok(())
}

const RUST_LOG: &str = "RUST_LOG";
