//! The reference server: verifies pyannoteAI's webhooks, commits each to an inbox and answers; then logs what it says and
//! keeps it on disk, whole and once.
//!
//! ```text
//! PYANNOTEAI_WEBHOOK_SECRET=whs_... cargo run --release --example server -- --port 8000 --data-dir data/interim
//! ```

mod app;
mod connections;
mod doctor;
mod failure;
mod handlers;
mod inbox;
mod logging;
mod metrics;
mod pages;
mod reconcile;
mod serve;
mod settings;
mod signals;
mod storage;

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
};

use tokio::{runtime::Runtime, sync::watch};

use self::{
    failure::Failure,
    settings::{Command, Flags, Settings},
    signals::Signals,
};

fn main() -> ExitCode {
    start().unwrap_or_else(|failure| failure.report())
}

fn start() -> Result<ExitCode, Failure> {
    let Some(flags) = Flags::read()? else {
        return Ok(ExitCode::SUCCESS);
    };
    if let Some(Command::Doctor(case)) = &flags.command {
        return doctor::run(case);
    }
    logging::install(flags.debug)?;
    let runtime =
        Runtime::new().map_err(|error| Failure::run(format!("cannot start threads: {error}")))?;
    let result = match &flags.command {
        Some(Command::Inbox(command)) => runtime.block_on(operate(command, &flags)),
        _ => runtime.block_on(run(Settings::of(flags)?)),
    };
    // What still runs by now was given up, be it a write that hangs.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

async fn operate(command: &inbox::Command, flags: &Flags) -> Result<(), Failure> {
    let inbox = inbox::open_existing(flags.database_url.as_deref(), &flags.data_dir).await?;
    inbox::run(command, &inbox).await
}

async fn run(settings: Settings) -> Result<(), Failure> {
    let store = storage::open(&settings.data_dir).await.map_err(|error| {
        let dir = settings.data_dir.display();
        Failure::run(format!("--data-dir {dir}: cannot store there: {error}"))
    })?;
    let metrics = metrics::install().map_err(|error| Failure::run(error.to_string()))?;
    let inbox = inbox::open(settings.database_url.as_deref(), &settings.data_dir).await?;
    let worker = handlers::registry(Arc::clone(&store))
        .map(|registry| inbox.worker(registry))
        .map_err(|error| Failure::run(error.to_string()))?;
    let reconciler = settings.reconcile.reconciler(&inbox)?;
    let app = app::router(settings.secrets, inbox, store, metrics);

    // Before anyone is told that the server is up, as they may stop it at once.
    let mut signals = Signals::new()
        .map_err(|error| Failure::run(format!("cannot listen for signals: {error}")))?;
    let (host, port) = (settings.host.as_str(), settings.port);
    let cannot_listen = |error| {
        Failure::run(format!(
            "--host {host}, --port {port} (or WEBHOOK_SERVER_HOST, WEBHOOK_SERVER_PORT): cannot listen there: {error}"
        ))
    };
    let listener = serve::listen(host, port).await.map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;

    let _ = writeln!(io::stdout(), "listening on http://{address}");
    tracing::info!(%address, data_dir = %settings.data_dir.display(), "listening");

    let (stop, stopped) = watch::channel(());
    let stopped = || {
        let mut stopped = stopped.clone();
        async move {
            let _ = stopped.changed().await;
        }
    };
    // A server whose worker broke must not go on to acknowledge what nobody handles.
    let (broken, broke) = watch::channel(());
    let worked = tokio::spawn(worker.run_until(stopped()));
    let worked = async {
        let worked = worked.await;
        drop(broken);
        worked
    };
    let stopped_or_broke = || {
        let (stopped, mut broke) = (stopped(), broke.clone());
        async move {
            tokio::select! {
                () = stopped => {}
                _ = broke.changed() => {}
            }
        }
    };
    let served = serve::serve(listener, app, stopped_or_broke());
    let reconciled = async {
        if let Some(reconciler) = reconciler {
            reconciler.run_until(stopped_or_broke()).await;
        }
    };
    let all = async {
        let ((), (), worked) = tokio::join!(served, reconciled, worked);
        match worked {
            Ok(worked) => worked.map_err(|error| Failure::run(inbox::in_full(&error))),
            Err(panic) => Err(Failure::run(format!("the inbox's worker broke: {panic}"))),
        }
    };
    let asked_twice = async {
        let signal = signals.next().await;
        tracing::info!(signal, "stopping, once deliveries in flight are done");
        drop(stop);
        signals.next().await
    };
    tokio::select! {
        ended = all => ended,
        signal = asked_twice => Err(Failure::run(format!("stopped at once by a second {signal}"))),
    }
}
