//! The receiver that is measured, a process of its own.

use std::{env, path::Path, process::Command, sync::Arc};

use axum::{Router, routing};
use object_store::{ObjectStore, local::LocalFileSystem};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_pyannote::{HandlerRegistry, PyannoteSignatureLayer, WebhookEvent, WebhookSecret};
use tower_pyannote_archive::{Archive, GroupedFileSystem};
use tower_pyannote_inbox::{Inbox, InboxStats};

/// Runs the server if this process was started as one.
pub(crate) fn serve_if_told(runtime: &tokio::runtime::Runtime) -> bool {
    let address = env::var(SERVE);
    let Ok(address) = address else { return false };
    runtime.block_on(serve(&address));
    true
}

/// Returns a command that runs this program, or an older build of it, as a server.
pub(crate) fn command(program: &Path, database: &str, kept: &Path, worker: bool) -> Command {
    let mut command = pinned(program);
    command
        .env(SERVE, database)
        .env(KEPT, kept)
        .env(WORKER, worker.to_string());
    command
}

/// Returns a command that runs a program on the first processor, where `taskset` exists; the load comes from the others.
pub(crate) fn pinned(program: &Path) -> Command {
    let taskset = Command::new("taskset").args(["-c", "0", "true"]).status();
    if !taskset.is_ok_and(|status| status.success()) {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command
}

async fn serve(address: &str) {
    let inbox = Inbox::open(address).await.expect("the inbox opens");
    let layer = PyannoteSignatureLayer::new(secret());
    let counted = inbox.clone();
    let webhook = ServiceBuilder::new().layer(layer).service(inbox.service());
    let app = Router::new().route_service("/webhook", webhook).route(
        "/stats",
        routing::get(async move || match counted.stats().await {
            Ok(InboxStats { handled, .. }) => format!("{handled} handled"),
            Err(error) => error.to_string(),
        }),
    );
    if env::var(WORKER).is_ok_and(|worker| worker == "true") {
        let worker = inbox.worker(registry()).with_concurrency(32);
        let worker = worker.expect("it is in range");
        tokio::spawn(worker.run_until(std::future::pending()));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port is free");
    println!("{}", listener.local_addr().expect("it is bound").port());
    axum::serve(listener, app).await.expect("it serves");
}

fn registry() -> HandlerRegistry {
    let registry = HandlerRegistry::new();
    let handler = env::var(HANDLER).unwrap_or_default();
    if handler == "nothing" {
        let nothing = registry.on_any("nothing", async |_: WebhookEvent| Ok(()));
        return nothing.expect("its name is its own");
    }
    let kept = env::var_os(KEPT).expect("the parent sets it");
    let store: Arc<dyn ObjectStore> = match handler.as_str() {
        "no-fsync" => Arc::new(LocalFileSystem::new_with_prefix(kept).expect("the folder exists")),
        _ => Arc::new(GroupedFileSystem::new(kept).expect("the folder exists")),
    };
    let archive = Archive::new(store, "")
        .expect("an empty prefix")
        .behind_inbox();
    let registry = registry.register("archive", archive);
    registry.expect("its name is its own")
}

pub(crate) fn secret() -> WebhookSecret {
    WebhookSecret::new(SECRET).expect("it is one")
}

pub(crate) const SECRET: &str = "whs_00112233445566778899aabbccddeeff";
pub(crate) const KEPT: &str = "END_TO_END_KEPT";
/// What the worker's handler does: `nothing`, `no-fsync`, or the archive with fsync.
pub(crate) const HANDLER: &str = "HANDLER";
const SERVE: &str = "END_TO_END_SERVE";
const WORKER: &str = "END_TO_END_WORKER";
