//! `pyannote-receiver check`: tries the settings without serving.

use std::{error::Error, net::SocketAddr, path::Path, sync::Arc};

use clap::Args;
use object_store::{ObjectStore, memory::InMemory};
use pyannote_cli::{Failure, print};
use serde::Serialize;
use tempfile::TempDir;
use tower_pyannote::HandlerRegistry;
use tower_pyannote_inbox::Inbox;

use super::json;
use crate::{
    database::{Existing, Place},
    error::in_full,
    forward,
    page::About,
    reconcile,
    secrets::Secrets,
    serve,
    server::Server,
    settings::{Listen, Private, Role, Settings},
    store,
};

/// Try the settings without serving: the secret, the archive, the database, the addresses, the web page, other programs and
/// the API key; exits with 1 if one does not work
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Check {
    #[command(flatten)]
    settings: Settings,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The result of one check.
#[derive(Serialize)]
struct Checked {
    name: &'static str,
    ok: bool,
    /// What works, or what is wrong and how to fix it.
    text: String,
}

impl Check {
    pub(crate) fn settings(&mut self) -> &mut Settings {
        &mut self.settings
    }

    pub(crate) fn listen(&self) -> &Listen {
        &self.settings.listen
    }
}

pub(crate) async fn run(
    check: &Check,
    secrets: &Secrets,
    private: &Private,
) -> Result<(), Failure> {
    let settings = &check.settings;
    let mut checked = Vec::new();
    let mut add = |name, result: Result<String, Failure>| {
        let ok = result.is_ok();
        let text = result.unwrap_or_else(|failure| failure.to_string());
        checked.push(Checked { name, ok, text });
    };
    if settings.has(Role::Receive) {
        add("webhook secret", webhook_secret(secrets));
    }
    add("archive", store::check(&settings.database).await);
    let (of_database, inbox) = open(settings, secrets).await;
    add("database", of_database);
    add("limits", limits(settings, secrets, inbox).await);
    let (free, pages_at) = listeners(settings, private).await;
    for (name, result) in free {
        add(name, result);
    }
    if let Some(result) = page(settings, private, pages_at).transpose() {
        add("page", result);
    }
    if settings.pass_on.is_used() {
        let handlers = forward::Handlers::new(&settings.pass_on, secrets);
        add(
            "other programs",
            handlers.map(|handlers| handlers.summary()),
        );
    }
    let relay = forward::check_relay(&settings.pass_on, secrets).await;
    if let Some(result) = relay.transpose() {
        add("relay", result);
    }
    if settings.needs_api_key() {
        add("API key", api_key(settings, secrets).await);
    }

    let failed = checked.iter().filter(|check| !check.ok).count();
    print(match check.json {
        true => json(&checked)?,
        false => checked.iter().map(line).collect(),
    })?;
    match failed {
        0 => Ok(()),
        1 => Err(Failure::run("1 check failed")),
        _ => Err(Failure::run(format!("{failed} checks failed"))),
    }
}

fn line(check: &Checked) -> String {
    let ok = match check.ok {
        true => "ok",
        false => "FAILED",
    };
    format!("{ok:<6}  {:<16}  {}\n", check.name, check.text)
}

fn webhook_secret(secrets: &Secrets) -> Result<String, Failure> {
    let setting = secrets.webhook()?;
    let count = setting.to_set()?.len();
    Ok(match count {
        1 => format!("1 secret, from {}", setting.place()),
        _ => format!("{count} secrets, from {}", setting.place()),
    })
}

/// Opens the inbox. Creates and migrates none.
async fn open(settings: &Settings, secrets: &Secrets) -> (Result<String, Failure>, Option<Inbox>) {
    let place = match Place::new(&settings.database, secrets) {
        Ok(place) => place,
        Err(error) => return (Err(error), None),
    };
    let setting = place.setting().to_owned();
    let migrates = settings.database.migrate();
    let migrate = "run `pyannote-receiver inbox migrate`, as a role that may create tables";
    match place.existing().await {
        Ok(Existing::Open(inbox)) => {
            let checked = inbox.check().await;
            let checked = checked
                .map(|()| "the inbox accepts writes".to_owned())
                .map_err(|error| Failure::run(format!("{setting}: {}", in_full(&error))));
            (checked, Some(inbox))
        }
        Ok(Existing::Missing) if migrates => {
            let text = "there is no inbox yet; `serve` creates it".to_owned();
            (Ok(text), None)
        }
        Ok(Existing::Missing) => {
            let text = format!("{setting}: there is no inbox: {migrate}");
            (Err(Failure::run(text)), None)
        }
        Ok(Existing::Outdated) if migrates => {
            let text = "the inbox's tables are of an earlier version; `serve` migrates them";
            (Ok(text.to_owned()), None)
        }
        Ok(Existing::Outdated) => {
            let text =
                format!("{setting}: the inbox's tables are of an earlier version: {migrate}");
            (Err(Failure::run(text)), None)
        }
        Err(error) => (Err(error), None),
    }
}

/// Checks the settings that have to fit together.
async fn limits(
    settings: &Settings,
    secrets: &Secrets,
    inbox: Option<Inbox>,
) -> Result<String, Failure> {
    settings.limits.check()?;
    let _ = HandlerRegistry::new()
        .with_handler_timeout(settings.worker.handler_timeout)
        .map_err(|error| Failure::usage(format!("--handler-timeout: {error}")))?;
    // The settings of a worker need an inbox. If there is none, create one beside its future place, or with the temporary
    // files, and delete it.
    let directory;
    let inbox = match inbox {
        Some(inbox) => inbox,
        None => {
            directory = trial_directory(&settings.database.data_dir)?;
            let opened = Inbox::builder_from_path(directory.path().join("inbox.sqlite")).open();
            opened.await.map_err(|error| cannot_try(&error))?
        }
    };
    // The check of the API key reports a client that cannot be built.
    if settings.has(Role::Reconcile)
        && let Ok(client) = reconcile::client(settings, secrets)
    {
        let _ = reconcile::reconciler(&settings.reconcile, client, &inbox)?;
    }
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let _ = settings
        .worker
        .apply(Server::without_webhook(inbox, store))?;
    Ok("the limits fit together".to_owned())
}

fn trial_directory(data_dir: &Path) -> Result<TempDir, Failure> {
    let mut directory = tempfile::Builder::new();
    let directory = directory.prefix(".check-");
    // With PostgreSQL and a remote archive, nothing else is written to the data directory.
    let created = directory
        .tempdir_in(store::existing(data_dir))
        .or_else(|_| directory.tempdir());
    created.map_err(|error| cannot_try(&error))
}

fn cannot_try(error: &dyn Error) -> Failure {
    let error = in_full(error);
    Failure::run(format!(
        "--data-dir: the settings of the worker cannot be tried: {error}"
    ))
}

type Row = (&'static str, Result<String, Failure>);

/// Checks the addresses. Returns the address of the pages, too, if it is free.
async fn listeners(settings: &Settings, private: &Private) -> (Vec<Row>, Option<SocketAddr>) {
    let listen = &settings.listen;
    let free = |address: String| format!("{address} is free");
    let mut checked = Vec::new();
    let mut pages_at = None;
    if settings.has(Role::Receive) || *private == Private::Shared {
        let listener = serve::listen(&listen.host, listen.port).await;
        if *private == Private::Shared {
            pages_at = listener
                .as_ref()
                .ok()
                .and_then(|free| free.local_addr().ok());
        }
        let result = listener.map_err(|error| listen.cannot_listen(&error));
        checked.push((
            "public address",
            result.map(|_| free(format!("{}:{}", listen.host, listen.port))),
        ));
    }
    if let Private::At { host, port } = private {
        let listener = serve::listen(host, *port).await;
        pages_at = listener
            .as_ref()
            .ok()
            .and_then(|free| free.local_addr().ok());
        let result = listener.map_err(|error| private.cannot_listen(&error));
        checked.push((
            "private address",
            result.map(|_| free(format!("{host}:{port}"))),
        ));
    }
    (checked, pages_at)
}

/// Checks the settings of the page. Returns `None` if it is not served.
fn page(
    settings: &Settings,
    private: &Private,
    address: Option<SocketAddr>,
) -> Result<Option<String>, Failure> {
    let about = About {
        secrets: &[],
        data_dir: &settings.database.data_dir,
        is_postgres: false,
        has_handlers: false,
        is_shared: settings.has(Role::Receive) && *private == Private::Shared,
        client: None,
        settings: Vec::new(),
    };
    settings.page.check(&about, address)
}

async fn api_key(settings: &Settings, secrets: &Secrets) -> Result<String, Failure> {
    let client = reconcile::client(settings, secrets)?;
    let tested = client.test_key().await;
    tested.map_err(|error| {
        let error: &dyn Error = &error;
        Failure::run(format!("PYANNOTEAI_API_KEY: {}", in_full(error)))
    })?;
    Ok("the API accepts the key".to_owned())
}

const AFTER_HELP: &str = "\
The command receives, handles and fetches no event. It creates no directory, no inbox and no stream, and migrates
no inbox of an earlier version.

Examples:
  pyannote-receiver check --config /etc/pyannote-receiver.toml
  pyannote-receiver check --reconcile --json";
