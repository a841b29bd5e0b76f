use std::{
    env,
    io::{self, IsTerminal},
};

use tracing_subscriber::{EnvFilter, fmt::Subscriber};

use crate::failure::Failure;

/// Logs to stderr: as text if stderr is a terminal, else as JSON.
///
/// `RUST_LOG` chooses what is logged. If it is not set, the level is `debug` if `debug` is true, else `info`.
///
/// # Errors
///
/// Returns a usage failure if `RUST_LOG` is not a filter.
///
/// # Panics
///
/// Panics if the process already has a logger.
pub fn log_to_stderr(debug: bool) -> Result<(), Failure> {
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
