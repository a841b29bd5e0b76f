//! The program `pyannote-simulator`, as a function.

mod fault_flags;
mod settings;
mod trigger;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use pyannote_cli::{Failure, Signals};
use tokio::runtime::Runtime;

use self::settings::{Command, Settings};
use crate::{Config, Simulator, SimulatorError};

/// Runs the program with the arguments and the environment of the process, and returns its exit code.
///
/// The code is 0 for success, 2 for settings that cannot be used, and 1 for any other failure, which includes a webhook of
/// `trigger` that was not accepted. Call it before any other thread runs, because it copies `.env` into the environment.
///
/// # Panics
///
/// Panics if the process already has a logger.
#[must_use]
pub fn run() -> ExitCode {
    try_run().unwrap_or_else(|failure| failure.report())
}

fn try_run() -> Result<ExitCode, Failure> {
    let Some(settings) = Settings::read()? else {
        return Ok(ExitCode::SUCCESS);
    };
    pyannote_cli::log_to_stderr(settings.debug)?;
    let runtime =
        Runtime::new().map_err(|error| Failure::run(format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(async {
        match settings.command {
            Command::Serve(config) => serve(*config).await,
            Command::Trigger(load) => trigger::trigger(*load).await,
        }
    });
    runtime.shutdown_background();
    result
}

async fn serve(config: Config) -> Result<ExitCode, Failure> {
    // Listen before the address is printed, because whoever reads it may send a signal at once.
    let mut signals = Signals::new()?;
    let simulator = Simulator::start(config).await.map_err(failure)?;
    let _ = writeln!(io::stdout(), "listening on {}", simulator.url());
    tracing::info!(address = %simulator.address(), "listening");

    let signal = signals.next().await;
    let jobs = simulator.jobs();
    let jobs = jobs.as_array().map_or(0, Vec::len);
    tracing::info!(signal, jobs, "stopping");
    tokio::select! {
        () = simulator.stop() => Ok(ExitCode::SUCCESS),
        signal = signals.next() => Err(Failure::run(format!("stopped at once by a second {signal}"))),
    }
}

/// Names the flag that set the value.
fn failure(error: SimulatorError) -> Failure {
    Failure::run(match &error {
        SimulatorError::TimeScale => format!("--time-scale: {error}"),
        SimulatorError::Duration => format!("--duration: {error}"),
        SimulatorError::RateLimit => format!("--rate-limit: {error}"),
        SimulatorError::AnswerTimeout => format!("--answer-timeout: {error}"),
        SimulatorError::Bodies { path, error } => format!("--bodies {}: {error}", path.display()),
        SimulatorError::DataDir { path, error } => {
            format!("--data-dir {}: {error}", path.display())
        }
        SimulatorError::Listen { host, port, error } => {
            format!("--host {host}, --port {port}: cannot listen there: {error}")
        }
        SimulatorError::Odds | SimulatorError::Client { .. } => error.to_string(),
    })
}
