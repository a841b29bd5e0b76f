//! The reference server: verifies pyannoteAI's webhooks, logs what they say and keeps each on disk, whole and once.
//!
//! ```text
//! PYANNOTEAI_WEBHOOK_SECRET=whs_... cargo run --release --example server -- --port 8000 --data-dir data/interim
//! ```

mod app;
mod doctor;
mod handlers;
mod logging;
mod metrics;
mod pages;
mod serve;
mod settings;
mod signals;
mod storage;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot};

use self::{
    settings::{Command, Failure, Flags, Settings},
    signals::Signals,
};

fn main() -> ExitCode {
    match start() {
        Ok(code) => code,
        Err(failure) => {
            // Nobody may be left to read it.
            let _ = writeln!(io::stderr(), "error: {failure}");
            ExitCode::from(failure.code)
        }
    }
}

fn start() -> Result<ExitCode, Failure> {
    let Some(flags) = Flags::read()? else {
        return Ok(ExitCode::SUCCESS);
    };
    if let Some(Command::Doctor(case)) = &flags.command {
        return doctor::run(case);
    }
    let settings = Settings::of(flags)?;
    logging::install(settings.debug)?;

    let runtime =
        Runtime::new().map_err(|error| Failure::run(format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(run(settings));
    // What still runs by now was given up, be it a write that hangs.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

async fn run(settings: Settings) -> Result<(), Failure> {
    let store = storage::open(&settings.data_dir).await.map_err(|error| {
        let dir = settings.data_dir.display();
        Failure::run(format!("--data-dir {dir}: cannot store there: {error}"))
    })?;
    let metrics = metrics::install().map_err(|error| Failure::run(error.to_string()))?;
    let app = app::router(settings.secrets, store, metrics)
        .map_err(|error| Failure::run(error.to_string()))?;

    // Before anyone is told that the server is up, as they may stop it at once.
    let mut signals = Signals::new()
        .map_err(|error| Failure::run(format!("cannot listen for signals: {error}")))?;
    let (host, port) = (settings.host.as_str(), settings.port);
    let cannot_listen = |error| {
        Failure::run(format!(
            "--host {host}, --port {port} (or WEBHOOK_SERVER_HOST, WEBHOOK_SERVER_PORT): cannot listen there: {error}"
        ))
    };
    let listener = TcpListener::bind((host, port))
        .await
        .map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;

    let _ = writeln!(io::stdout(), "listening on http://{address}");
    tracing::info!(%address, data_dir = %settings.data_dir.display(), "listening");

    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async {
        let _ = stopped.await;
    };
    let asked_twice = async {
        let signal = signals.next().await;
        tracing::info!(signal, "stopping, once deliveries in flight are done");
        let _ = stop.send(());
        signals.next().await
    };
    tokio::select! {
        () = serve::serve(listener, app, stopped) => Ok(()),
        signal = asked_twice => Err(Failure::run(format!("stopped at once by a second {signal}"))),
    }
}
