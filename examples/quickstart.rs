//! The main job, on loopback: starts the reference server, delivers to it as pyannoteAI does, and shows what came of it.
//!
//! ```text
//! cargo run --release --example quickstart
//! ```

#[path = "server/app.rs"]
mod app;
#[path = "quickstart/bodies.rs"]
mod bodies;
#[path = "server/handlers.rs"]
mod handlers;
#[path = "quickstart/kept.rs"]
mod kept;
#[path = "server/metrics.rs"]
mod metrics;
#[path = "server/pages.rs"]
mod pages;
#[path = "quickstart/sender.rs"]
mod sender;
#[path = "server/serve.rs"]
mod serve;
#[path = "server/storage.rs"]
mod storage;
#[path = "quickstart/timeline.rs"]
mod timeline;

use std::{
    error::Error,
    hash::{BuildHasher, RandomState},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, sync::oneshot};
use tower_pyannote::{Inbox, SecretSet, WebhookSecret};

use self::{kept::Kept, sender::Sender};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    // Good enough for a secret that lives for a second and never leaves this machine.
    let random = RandomState::new();
    let secret = format!("whs_{:016x}{:016x}", random.hash_one(1), random.hash_one(2));
    let dir = tempfile::Builder::new()
        .prefix("pyannote-quickstart-")
        .tempdir()?
        .keep();

    let secrets = SecretSet::from_list(&secret)?;
    let store = storage::open(&dir).await?;
    let inbox = Inbox::sqlite(dir.join("inbox.sqlite")).await?;
    let registry = handlers::registry(Arc::clone(&store))?;
    let app = app::router(secrets, inbox.clone(), store, metrics::install()?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = tokio::spawn(inbox.worker(registry).run_until(std::future::pending()));
    let server = tokio::spawn(serve::serve(listener, app, async {
        let _ = stopped.await;
    }));
    println!("The reference server listens on http://{address} and keeps events in");
    println!("{}\n", dir.display());

    let mut checks = Checks::default();
    let genuine = Sender::new(address, WebhookSecret::new(secret)?);
    let forger = Sender::new(address, WebhookSecret::new("whs_a_guess")?);

    let bodies = bodies::all();
    println!("Delivered, signed as pyannoteAI signs:");
    for (what, body) in &bodies {
        let status = genuine.deliver(body, 0).await?;
        checks.answer(what, status, 200);
    }
    let meeting = bodies::meeting();
    let status = genuine.deliver(&meeting, 0).await?;
    checks.answer("the diarization once more", status, 200);

    println!("\nDelivered as an attacker may:");
    let status = forger.deliver(&meeting, 0).await?;
    checks.answer("a forged one, signed with a guess", status, 401);
    let status = genuine.deliver(&meeting, 3600).await?;
    checks.answer("a stale one, an hour old", status, 401);
    let status = genuine.deliver_altered(&meeting).await?;
    checks.answer("one altered on the way", status, 401);

    while inbox.stats().await?.oldest_waiting.is_some() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    worker.abort();

    println!("\nKept, and what it says:");
    let all_kept = Kept::all_of(&dir)?;
    for kept in &all_kept {
        let event = kept.event()?;
        println!("  {}\n    {}", kept.name, kept::in_words(&event));
        if let Some(output) = event.output().and_then(|output| output.as_diarization()) {
            print!("{}", timeline::draw(&output.diarization));
        }
    }

    println!("\nChecked:");
    let kept_once =
        |body: &Vec<u8>| all_kept.iter().filter(|kept| kept.bytes == *body).count() == 1;
    let whole = bodies.iter().filter(|(_, body)| kept_once(body)).count();
    checks.count("events kept once, byte for byte", whole, bodies.len());
    checks.count("files in all", all_kept.len(), bodies.len());
    let metrics = genuine.get("/metrics").await?;
    for (what, name, expected) in [
        (
            "deliveries accepted",
            "pyannote_webhook_processed_webhooks_total",
            bodies.len() + 1,
        ),
        (
            "deliveries refused",
            "pyannote_webhook_failed_verifications_total",
            3,
        ),
    ] {
        checks.count(what, sum(&metrics, name), expected);
    }

    let _ = stop.send(());
    server.await?;
    println!("\nThe events stay in {}", dir.display());
    Ok(checks.conclude())
}

/// What was expected, and whether it came.
#[derive(Default)]
struct Checks {
    failures: usize,
}

impl Checks {
    fn answer(&mut self, what: &str, status: u16, expected: u16) {
        let verdict = match status {
            200 => "accepted",
            401 => "refused",
            _ => "failed",
        };
        let mark = self.mark(status == expected);
        println!("  {mark} {status} {verdict:<8}  {what}");
    }

    fn count(&mut self, what: &str, found: usize, expected: usize) {
        let mark = self.mark(found == expected);
        println!("  {mark} {what}: {found} of {expected}");
    }

    fn mark(&mut self, right: bool) -> &'static str {
        if right {
            return "ok   ";
        }
        self.failures += 1;
        "WRONG"
    }

    fn conclude(&self) -> ExitCode {
        match self.failures {
            0 => println!("All is as it should be."),
            failures => println!("Not as it should be: {failures}, marked WRONG above."),
        }
        ExitCode::from(u8::from(self.failures > 0))
    }
}

/// The sum of all series of one name.
fn sum(metrics: &str, name: &str) -> usize {
    metrics
        .lines()
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
        .sum()
}
