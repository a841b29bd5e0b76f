//! A pyannoteAI look-alike, for development, demos and tests: its API, its webhooks, and mistakes on demand.
//!
//! ```text
//! PYANNOTEAI_WEBHOOK_SECRET=whs_... cargo run --example simulator -- serve --port 8100 --time-scale 60 --lost-first 10%
//! PYANNOTEAI_WEBHOOK_SECRET=whs_... cargo run --example simulator -- trigger diarization --url http://127.0.0.1:8000/webhook
//! ```

mod app;
#[path = "../server/failure.rs"]
mod failure;
mod fault_flags;
#[path = "../server/logging.rs"]
mod logging;
mod settings;
#[path = "../server/signals.rs"]
mod signals;
mod trigger;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use tokio::runtime::Runtime;

use self::{
    app::Simulator,
    failure::Failure,
    settings::{Command, Settings},
    signals::Signals,
};

fn main() -> ExitCode {
    start().unwrap_or_else(|failure| failure.report())
}

fn start() -> Result<ExitCode, Failure> {
    let Some(settings) = Settings::read()? else {
        return Ok(ExitCode::SUCCESS);
    };
    logging::install(settings.debug)?;
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

async fn serve(config: app::Config) -> Result<ExitCode, Failure> {
    // Before anyone is told that it is up, as they may stop it at once.
    let mut signals = Signals::new()
        .map_err(|error| Failure::run(format!("cannot listen for signals: {error}")))?;
    let simulator = Simulator::start(config).await.map_err(Failure::run)?;
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
