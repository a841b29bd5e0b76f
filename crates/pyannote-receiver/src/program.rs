use std::process::ExitCode;

use pyannote_cli::{Failure, Hangup, Signals, print};
use tokio::{runtime::Runtime, sync::oneshot};
use tower_pyannote::{ConfigError, HandlerRegistry};

use crate::{
    bound::BoundServer,
    commands::{check, config, deliver, doctor, health, inbox},
    database, endpoints,
    error::{ServerError, in_full},
    fetch::Fetch,
    forward,
    otel::Traces,
    page::About,
    reconcile,
    reload::Reload,
    secrets::Secrets,
    server::Server,
    settings::{self, Command, InForce, Listen, Parsed, Private, Role, Settings},
    store,
};

impl Server {
    /// Runs the program `pyannote-receiver` with more handlers, and returns its exit code.
    ///
    /// `handlers` receives the registry with the handlers `archive` and `log`, and adds to it. The program reads its
    /// arguments, the environment and the file `.env`. Call this first in `main`, before any other thread runs, because
    /// the program copies `.env` into the environment.
    ///
    /// One listener serves all endpoints, unless `--private-listen` is set. [`main`](crate::main) has two by default.
    pub fn main<F>(handlers: F) -> ExitCode
    where
        F: FnOnce(HandlerRegistry) -> Result<HandlerRegistry, ConfigError>,
    {
        let shared = |_: &Listen| Private::Shared;
        start(handlers, shared).unwrap_or_else(|failure| failure.report())
    }
}

/// Runs the program `pyannote-receiver` as it is installed, and returns its exit code.
///
/// Differs from [`Server::main`] in one default: the public address has only `/webhook`, and the pages for the operator are
/// on 127.0.0.1, at the port after the public one.
#[must_use]
pub fn main() -> ExitCode {
    let beside = |listen: &Listen| Private::At {
        host: "127.0.0.1".to_owned(),
        port: match listen.port {
            0 => 0,
            port => port.checked_add(1).unwrap_or(port - 1),
        },
    };
    start(Ok, beside).unwrap_or_else(|failure| failure.report())
}

fn start(
    handlers: impl FnOnce(HandlerRegistry) -> Result<HandlerRegistry, ConfigError>,
    private: impl FnOnce(&Listen) -> Private,
) -> Result<ExitCode, Failure> {
    let Some(parsed) = settings::parse()? else {
        return Ok(ExitCode::SUCCESS);
    };
    let Parsed {
        program,
        secrets,
        in_force,
    } = parsed;
    match &program.command {
        Command::Doctor(case) => return doctor::run(case, &secrets),
        Command::Config(config) => {
            let private = or_default(config.listen(), private);
            config::run(config, &in_force, &secrets, &private)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Completions(completions) => {
            completions.run()?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Man(man) => {
            man.run()?;
            return Ok(ExitCode::SUCCESS);
        }
        #[cfg(feature = "page")]
        Command::PageToken => {
            crate::page::print_token()?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let runtime =
        Runtime::new().map_err(|error| Failure::run(format!("cannot start threads: {error}")))?;
    // The other commands handle no events.
    let traces = match &program.command {
        Command::Serve(_) => {
            let endpoint = program.common.otlp_endpoint.as_deref();
            Traces::start(endpoint, runtime.handle())?
        }
        Command::Check(_) => {
            Traces::check(program.common.otlp_endpoint.as_deref())?;
            Traces::default()
        }
        _ => Traces::default(),
    };
    // Dropped at the end of this function, which writes the last lines to the log file.
    let _log = program.common.log().install_with(traces.layer())?;
    let result = runtime.block_on(async {
        match &program.command {
            Command::Inbox(command) => inbox::run(command, &secrets).await,
            Command::Deliver(delivery) => deliver::run(delivery, &secrets).await,
            Command::Health(health) => health::run(health).await,
            Command::Check(check) => {
                let private = or_default(check.listen(), private);
                check::run(check, &secrets, &private).await
            }
            Command::Serve(settings) => {
                let private = or_default(&settings.listen, private);
                run(settings, &in_force, &secrets, handlers, private, &traces).await
            }
            _ => unreachable!("the other commands returned above"),
        }
    });
    traces.flush();
    // Does not wait for tasks that hang, such as a write to a broken disk.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

fn or_default(listen: &Listen, default: impl FnOnce(&Listen) -> Private) -> Private {
    let private = listen.private.clone();
    private.unwrap_or_else(|| default(listen))
}

async fn run(
    settings: &Settings,
    in_force: &InForce,
    secrets: &Secrets,
    handlers: impl FnOnce(HandlerRegistry) -> Result<HandlerRegistry, ConfigError>,
    private: Private,
    traces: &Traces,
) -> Result<(), Failure> {
    let receives = settings.has(Role::Receive);
    // Before anything is created.
    settings.limits.check()?;
    let webhook = match receives {
        true => Some(secrets.webhook()?),
        false => None,
    };
    let secret_set = webhook.as_ref().map(|secret| secret.to_set()).transpose()?;
    let passed_on = forward::Handlers::new(&settings.pass_on, secrets)?;
    let place = database::Place::new(&settings.database, secrets)?.with_traces(traces);
    let is_local = place.is_local();
    let store = store::open(&settings.database, is_local).await?;
    let inbox = place.open().await?;
    let mut server = match secret_set {
        Some(secrets) => Server::new(secrets, inbox.clone(), store),
        None => Server::without_webhook(inbox.clone(), store),
    };
    server = server
        .with_handlers(|registry| registry.with_handler_timeout(settings.worker.handler_timeout))
        .map_err(|error| Failure::usage(format!("--handler-timeout: {error}")))?
        .with_handlers(|registry| passed_on.register(registry))
        .map_err(|error| Failure::usage(format!("--forward: {error}")))?
        .with_handlers(handlers)
        .map_err(Failure::run)?;
    // One client, so that the reconciler and the handlers share the rate limit.
    let has_key = secrets.api_key()?.is_some();
    let client = match has_key || settings.needs_api_key() {
        true => Some(reconcile::client(settings, secrets)?),
        false => None,
    };
    let fetch = client
        .clone()
        .filter(|_| settings.fetches())
        .map(Fetch::new);
    if let Some(fetch) = &fetch {
        let prepared = server.with_handlers(|registry| fetch.prepare(registry));
        server = prepared.map_err(|error| Failure::run(format!("--fetch-output: {error}")))?;
    }
    server = settings.worker.apply(server)?;
    server = server
        .with_limits(settings.limits.clone())
        .map_err(|error| settings.limits.invalid(&error))?
        .with_drain_timeout(settings.listen.drain_timeout);
    if !settings.handles() {
        server = server.without_handlers();
    }
    let page_client = client.clone().filter(|_| has_key);
    if let Some(client) = client.filter(|_| settings.has(Role::Reconcile)) {
        let reconciler = reconcile::reconciler(&settings.reconcile, client, &inbox)?;
        server = server.with_reconciler(reconciler);
    }
    if let Private::At { host, port } = &private {
        server = server.with_private_listener(host, *port);
    }
    let about = About {
        secrets: webhook.as_ref().map_or(&[], |secret| secret.as_bytes()),
        data_dir: &settings.database.data_dir,
        is_postgres: !is_local,
        has_handlers: settings.has(Role::Work) && settings.worker.handlers(),
        is_shared: receives && private == Private::Shared,
        client: page_client,
        settings: in_force.redacted(),
    };
    server = settings.page.apply(server, &about)?;

    // Before the address is printed, because a reader of that line may stop the server at once.
    let mut signals = Signals::new()?;
    let hangup = Hangup::new()?;
    let (host, port) = (settings.listen.host.as_str(), settings.listen.port);
    let bound = server.bind(host, port).await;
    let bound = bound.map_err(|error| cannot_bind(&error, &settings.listen, &private))?;
    announce(&bound, settings)?;
    let reload = Reload {
        settings,
        secrets,
        inbox: &inbox,
        fetch,
        passed_on,
        rotation: bound.rotation(),
    };

    let (stop, stopped) = oneshot::channel::<()>();
    let served = bound.run_until(async {
        let _ = stopped.await;
    });
    let second_signal = async {
        let signal = signals.next().await;
        tracing::info!(signal, "stopping after the deliveries in flight");
        drop(stop);
        signals.next().await
    };
    tokio::select! {
        served = served => served.map_err(|error| Failure::run(in_full(&error))),
        signal = second_signal => Err(Failure::run(format!("stopped at once by a second {signal}"))),
        () = reload.at_each(hangup) => unreachable!("signals do not end"),
    }
}

/// Names the setting of an address that cannot be bound.
fn cannot_bind(error: &ServerError, listen: &Listen, private: &Private) -> Failure {
    match (error, private) {
        (ServerError::Listen(error), _) => listen.cannot_listen(error),
        (ServerError::ListenPrivate(error), private) => private.cannot_listen(error),
        (error, _) => Failure::run(in_full(error)),
    }
}

/// Logs the endpoints and prints the addresses to stdout.
fn announce(bound: &BoundServer, settings: &Settings) -> Result<(), Failure> {
    let data_dir = settings.database.data_dir.display();
    let handlers = settings.handles();
    let version = env!("CARGO_PKG_VERSION");
    let address = bound.address();
    tracing::info!(%address, %data_dir, handlers, "pyannote-receiver {version} listens");
    let url = format!("http://{address}");
    let mut lines = format!("listening on {url}\n");
    let private = bound.private_address();
    let own: &[_] = match (settings.has(Role::Receive), private) {
        (true, None) => endpoints::SHARED,
        (true, Some(_)) => &[endpoints::PUBLIC],
        (false, _) => endpoints::PRIVATE,
    };
    let mut all = vec![(url, own)];
    if let Some(private) = private.filter(|private| *private != address) {
        let url = format!("http://{private}");
        lines += &format!("private pages on {url}\n");
        all.push((url, endpoints::PRIVATE));
    }
    for (url, endpoints) in all {
        for (method, path, about) in endpoints {
            tracing::info!("{method} {url}{path}: {about}");
        }
    }
    if bound.page.is_some() {
        let address = private.unwrap_or(address);
        tracing::info!(
            "GET http://{address}/page: events, meetings and dead letters, in a browser"
        );
    }
    print(lines)
}
