//! Everything in one process: a client submits jobs to the simulator, and the simulator loses deliveries. The inbox, the
//! retries and the reconciler bring every event to the handlers once. The program exits with 1 if any event was lost or
//! handled twice.
//!
//! ```text
//! cargo run --release --example quickstart
//! cargo run --release --example quickstart -- --page  # stays up, so that you can look at the page
//! ```

mod checks;
mod sender;
mod teller;
mod timeline;

use std::{
    error::Error,
    fs,
    hash::{BuildHasher, RandomState},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use pyannote_receiver::{PageSettings, Server, open_directory};
use pyannote_simulator::{Config, Fault, Faults, Odds, Simulator};
use pyannoteai_client::{Client, DiarizeRequest, IdentifyRequest, JobRequest, VoiceprintRequest};
use serde_json::Value;
use tokio::time;
use tower_pyannote::{SecretSet, WebhookSecret, testing::EventBuilder};
use tower_pyannote_inbox::{Inbox, InboxFilter, Reconciler};

use self::{checks::Checks, sender::Sender, teller::Teller};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    // Weak randomness suffices, because this secret lives for a second and never leaves the machine.
    let random = RandomState::new();
    let secret = format!("whs_{:016x}{:016x}", random.hash_one(1), random.hash_one(2));
    let secret = WebhookSecret::new(secret)?;
    let dir = tempfile::Builder::new()
        .prefix("pyannote-quickstart-")
        .tempdir()?
        .keep();
    let mut checks = Checks::default();

    // The receiver commits each verified event before it responds. A worker runs the handlers.
    let store = open_directory(&dir).await?;
    let inbox = Inbox::sqlite(dir.join("inbox.sqlite")).await?;
    let teller = Teller::default();
    let server = Server::new(SecretSet::new(secret.clone()), inbox.clone(), store)
        .with_handlers(|handlers| handlers.register("teller", teller.clone()))?
        .with_concurrency(1)?
        .with_private_listener("127.0.0.1", 0)
        .with_page(PageSettings::new())
        .bind("127.0.0.1", 0)
        .await?;
    let address = server.address();
    let private = server.private_address().unwrap_or(address);
    tokio::spawn(server.run_until(std::future::pending()));

    let simulator = Simulator::start(simulated(secret.clone())).await?;
    println!(
        "The simulator is at {}, the receiver at http://{address}.",
        simulator.url()
    );

    println!("\nThe client submits:");
    let client = Client::builder("sk_any")
        .with_base_url(simulator.url())?
        .with_webhook(format!("http://{address}/webhook"))?
        .with_submission_log(inbox.submissions())
        .build()?;
    let requests = requests()?;
    let submitted = requests.len();
    for request in requests {
        let job = client.submit(request).await?;
        println!("  {}  {}", job.job_id, job.kind);
    }

    println!("\nThe handlers meet, as webhooks come:");
    within("the end of all deliveries", async || {
        deliveries(&simulator)
            .iter()
            .all(|state| state != "pending")
    })
    .await?;
    let lost = deliveries(&simulator)
        .iter()
        .filter(|state| *state == "lost")
        .count();
    let first_lost = retried(&simulator);
    settled(&inbox, submitted - lost).await?;
    let by_webhook = teller.met().len();

    println!("\nThe reconciler fetches what no webhook brought, and the handlers meet:");
    let mut reconciler = Reconciler::new(client, inbox.clone()).with_grace(Duration::ZERO)?;
    let first = reconciler.pass().await;
    settled(&inbox, submitted).await?;
    let second = reconciler.pass().await;

    println!("\nDelivered to the receiver besides:");
    let genuine = Sender::new(address, secret);
    let forger = Sender::new(address, WebhookSecret::new("whs_a_guess")?);
    for body in kept(&dir)? {
        let status = genuine.deliver(&body, 0).await?;
        checks.answer("an event that is there, once more", status, 200);
    }
    let body = EventBuilder::diarization().build();
    let status = forger.deliver(&body, 0).await?;
    checks.answer("a forged one, signed with a guess", status, 401);
    let status = genuine.deliver(&body, 3600).await?;
    checks.answer("a stale one, an hour old", status, 401);
    let status = genuine.deliver_altered(&body).await?;
    checks.answer("one altered on the way", status, 401);
    settled(&inbox, submitted).await?;

    println!("\nCounted:");
    let met = teller.met();
    let entries = inbox.list(&InboxFilter::new()).await?;
    let page = sender::get(private, "/metrics").await?;
    let refused = sum(&page, "pyannote_webhook_failed_verifications_total");
    checks.count("jobs submitted", submitted, 5);
    checks.count(
        "of which the first delivery was lost, and a retry came",
        first_lost,
        1,
    );
    checks.count("of which all deliveries were lost", lost, 1);
    checks.count("events handled as webhooks came", by_webhook, 4);
    checks.count("events fetched by the reconciler", first.new, 1);
    checks.count("events it misses now", second.missing, 0);
    checks.count("events in the inbox", entries.len(), submitted);
    checks.count("files kept", kept(&dir)?.len(), submitted);
    checks.count("events handled", met.len(), submitted);
    checks.count(
        "events handled twice",
        met.values().filter(|times| **times > 1).count(),
        0,
    );
    checks.count("deliveries refused", refused, 3);

    simulator.stop().await;
    println!("\nThe events stay in {}", dir.display());
    let conclusion = checks.conclude();
    if std::env::args().any(|argument| argument == "--page") {
        println!("Look at http://{private}/page, and press Ctrl-C to end.");
        tokio::signal::ctrl_c().await?;
    } else {
        println!("Its page was at http://{private}/page; with --page it stays up.");
    }
    Ok(conclusion)
}

/// Starts a fast simulator. It loses all deliveries of job 1 and the first delivery of job 2, and fails job 3.
fn simulated(secret: WebhookSecret) -> Config {
    Config::new(secret)
        .with_time_scale(300.0)
        .with_answer_timeout(Duration::from_secs(10))
        .with_faults(
            Faults::default()
                .with(Fault::Lost, Odds::First(1))
                .with(Fault::LostFirst, Odds::First(1))
                .with(Fault::JobFails, Odds::First(1)),
        )
}

fn requests() -> Result<[JobRequest; 5], Box<dyn Error>> {
    let url = "https://example.com/meeting.wav";
    Ok([
        DiarizeRequest::new(url)?.with_num_speakers(4)?.into(),
        DiarizeRequest::new(url)?.with_transcription(true)?.into(),
        DiarizeRequest::new(url)?.into(),
        IdentifyRequest::new(url, [("Ada", "AAAA"), ("Grace", "BBBB")])?.into(),
        VoiceprintRequest::new(url)?.into(),
    ])
}

/// Returns the outcome of each job's delivery, as the simulator knows it.
fn deliveries(simulator: &Simulator) -> Vec<Value> {
    let mut jobs = simulator.jobs();
    let jobs = jobs.as_array_mut().into_iter().flatten();
    jobs.map(|job| job["delivery"].take()).collect()
}

/// Returns the jobs that were delivered although their first delivery was lost.
fn retried(simulator: &Simulator) -> usize {
    let jobs = simulator.jobs();
    let retried = |job: &&Value| {
        job["delivery"] == "delivered" && job["attempts"][0]["sent"] == Value::Bool(false)
    };
    jobs.as_array()
        .into_iter()
        .flatten()
        .filter(retried)
        .count()
}

/// Waits until `events` events are handled and none is left.
async fn settled(inbox: &Inbox, events: usize) -> Result<(), Box<dyn Error>> {
    within("the handlers' end", async || {
        let stats = inbox.stats().await;
        stats.is_ok_and(|stats| {
            usize::try_from(stats.handled) == Ok(events) && stats.waiting + stats.running == 0
        })
    })
    .await
}

async fn within(what: &str, done: impl AsyncFn() -> bool) -> Result<(), Box<dyn Error>> {
    let wait = async {
        while !done().await {
            time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = time::timeout(PATIENCE, wait).await;
    waited.map_err(|_| format!("not within {} s: {what}", PATIENCE.as_secs()).into())
}

/// Returns the archived bodies.
fn kept(dir: &Path) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let mut bodies = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            bodies.push(fs::read(path)?);
        }
    }
    Ok(bodies)
}

/// Returns the sum of all series of one name.
fn sum(metrics: &str, name: &str) -> usize {
    metrics
        .lines()
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
        .sum()
}

const PATIENCE: Duration = Duration::from_secs(30);
