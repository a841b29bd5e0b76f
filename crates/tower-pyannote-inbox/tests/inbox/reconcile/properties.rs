//! Each event is handled once under faults and restarts.

use std::{env, fs, io::Write, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use proptest::{collection::vec, prelude::*};
use pyannoteai_client::{JobRequest, VoiceprintRequest};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot, task::JoinHandle, time};
use tower_pyannote::{HandlerRegistry, WebhookEvent, WebhookSecret};
use tower_pyannote_inbox::{Inbox, InboxFilter};

use pyannote_simulator::{Config, Fault, Faults, Odds, Simulator};

use crate::place::{hasty, until};

use super::world::{Receiver, SECRET, Shifted, builder, diarize, eager, is_over};

/// The faults of a run.
#[derive(Clone, Debug)]
struct Trouble {
    seed: u64,
    jobs: usize,
    /// How many of a hundred jobs, or requests, meet each fault.
    faults: [u8; FAULTS.len()],
    /// The ends of the receiver, and with it of its worker.
    ends: Vec<End>,
    handler_ms: u64,
    /// Whether a reconciler works beside the receiver all the time.
    beside: bool,
}

#[derive(Clone, Debug)]
struct End {
    after_ms: u64,
    killed: bool,
}

const FAULTS: [Fault; 14] = [
    Fault::Lost,
    Fault::LostFirst,
    Fault::Doubled,
    Fault::Late,
    Fault::Reordered,
    Fault::Tampered,
    Fault::WronglySigned,
    Fault::SlowLoris,
    Fault::Cut,
    Fault::JobFails,
    Fault::JobCanceled,
    Fault::Api429,
    Fault::Api5xx,
    Fault::ApiStalls,
];

fn trouble() -> impl Strategy<Value = Trouble> {
    let of_jobs = || prop_oneof![1 => Just(0), 2 => 5..=60_u8];
    let of_api = || prop_oneof![2 => Just(0), 1 => 1..=15_u8];
    let faults = FAULTS.map(|fault| match fault {
        Fault::Api429 | Fault::Api5xx | Fault::ApiStalls => of_api().boxed(),
        _ => of_jobs().boxed(),
    });
    let end = (0..=150_u64, any::<bool>()).prop_map(|(after_ms, killed)| End { after_ms, killed });
    let ends = vec(end, 0..=4);
    (
        any::<u64>(),
        1..=12_usize,
        faults,
        ends,
        0..=150_u64,
        any::<bool>(),
    )
        .prop_map(|(seed, jobs, faults, ends, handler_ms, beside)| Trouble {
            seed,
            jobs,
            faults,
            ends,
            handler_ms,
            beside,
        })
}

fn config() -> ProptestConfig {
    let config = ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 16,
        ..ProptestConfig::default()
    };
    match env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => ProptestConfig {
            cases: 12,
            ..config
        },
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn each_event_is_handled_exactly_once_under_any_faults_and_restarts(trouble in trouble()) {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(go_through(trouble));
    }
}

async fn go_through(trouble: Trouble) {
    let dir = TempDir::new().unwrap();
    let simulator = Simulator::start(simulated(&trouble)).await.unwrap();
    let url = simulator.url();
    let place = Arc::new(Place {
        dir: dir.path().to_owned().into(),
        url: url.clone(),
        handler: Duration::from_millis(trouble.handler_ms),
        beside: trouble.beside,
    });
    let mut process = Process::start(&place, "127.0.0.1:0".parse().unwrap()).await;
    let webhook = format!("http://{}/webhook", process.address);

    // A process of its own, that is spared.
    let inbox = place.open().await;
    let client = builder(&url, &inbox, &Shifted::default())
        .with_timeout(STALLED)
        .unwrap()
        .with_webhook(webhook)
        .unwrap()
        .build()
        .unwrap();
    let submitting = tokio::spawn({
        let client = client.clone();
        async move {
            for number in 0..trouble.jobs {
                let request: JobRequest = match number % 3 {
                    0 => VoiceprintRequest::new("https://example.com/a.wav")
                        .unwrap()
                        .into(),
                    _ => diarize().into(),
                };
                // A submission that failed may have created a job. The simulator knows.
                let _ = client.submit(request).await;
            }
        }
    });
    for end in &trouble.ends {
        time::sleep(Duration::from_millis(end.after_ms)).await;
        process = process.restart(&place, end.killed).await;
    }
    submitting.await.unwrap();
    until("the end of all deliveries", async || {
        let jobs = simulator.jobs();
        let mut jobs = jobs.as_array().unwrap().iter();
        jobs.all(|job| job["delivery"] != "pending" && is_over(job))
    })
    .await;

    // The API has its faults too, so it may take some passes until one is without.
    let mut reconciler = eager(&client, &inbox);
    let mut passes = 0;
    while !reconciler.pass().await.is_complete() {
        passes += 1;
        assert!(passes < 100, "no pass is without errors");
    }
    let jobs = simulator.jobs();
    let mut expected: Vec<String> = jobs.as_array().unwrap().iter().map(name).collect();
    expected.sort();
    let filter = InboxFilter::new().with_limit(u32::MAX);
    let entries = inbox.list(&filter).await.unwrap();
    let mut events: Vec<String> = entries
        .iter()
        .map(|entry| format!("{}:{}", entry.job_id, entry.status))
        .collect();
    events.sort();
    assert_eq!(events, expected, "events in the inbox");

    until("the handlers' end", async || {
        let stats = inbox.stats().await.unwrap();
        usize::try_from(stats.handled) == Ok(expected.len()) && stats.waiting + stats.running == 0
    })
    .await;
    let mut notes = place.notes();
    notes.sort();
    assert_eq!(notes, expected, "events handled");
    process.end(false).await;
}

fn simulated(trouble: &Trouble) -> Config {
    let faults = FAULTS.into_iter().zip(trouble.faults);
    let faults = faults.fold(Faults::default(), |faults, (fault, percent)| {
        faults.with(fault, Odds::Percent(percent.into()))
    });
    Config::new(WebhookSecret::new(SECRET).unwrap())
        .with_seed(trouble.seed)
        .with_time_scale(400.0)
        .without_rate_limit()
        .with_duration(Duration::from_secs(5))
        .with_job_time(Duration::from_secs(12))
        .with_late_by(Duration::from_secs(120))
        .with_answer_timeout(Duration::from_millis(100))
        .with_faults(faults)
}

fn name(job: &serde_json::Value) -> String {
    let text = |field: &str| job[field].as_str().unwrap();
    format!("{}:{}", text("jobId"), text("status"))
}

/// State that survives a restart.
struct Place {
    dir: Box<Path>,
    url: String,
    handler: Duration,
    beside: bool,
}

impl Place {
    async fn open(&self) -> Inbox {
        Inbox::sqlite(self.dir.join("inbox.sqlite")).await.unwrap()
    }

    /// A handler that notes what it did, and does nothing that is noted. Two at a time would do it twice.
    fn registry(self: &Arc<Self>) -> HandlerRegistry {
        let place = Arc::clone(self);
        HandlerRegistry::new()
            .on_any("note", move |event: WebhookEvent| {
                let place = Arc::clone(&place);
                async move {
                    let name = format!("{}:{}", event.job_id(), event.status());
                    if !place.notes().contains(&name) {
                        time::sleep(place.handler).await;
                        place.note(&name);
                    }
                    Ok(())
                }
            })
            .unwrap()
    }

    fn note(&self, name: &str) {
        let file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.join("notes"));
        file.unwrap()
            .write_all(format!("{name}\n").as_bytes())
            .unwrap();
    }

    fn notes(&self) -> Vec<String> {
        let notes = fs::read_to_string(self.dir.join("notes")).unwrap_or_default();
        notes.lines().map(str::to_owned).collect()
    }
}

/// A receiver and its worker, on a runtime of their own, which can be killed with all that is on it.
struct Process {
    runtime: Runtime,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    worker: JoinHandle<()>,
}

impl Process {
    async fn start(place: &Arc<Place>, address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (stop, stopped) = oneshot::channel();
        let (ready, listening) = oneshot::channel();
        let place = Arc::clone(place);
        let worker = runtime.spawn(async move {
            let inbox = place.open().await;
            let listener = bind(address).await;
            let address = listener.local_addr().unwrap();
            let _receiver = Receiver::on(listener, &inbox);
            if place.beside {
                let client = builder(&place.url, &inbox, &Shifted::default());
                let client = client.with_timeout(STALLED).unwrap().build().unwrap();
                let reconciler = eager(&client, &inbox).with_interval(Duration::from_millis(50));
                tokio::spawn(reconciler.unwrap().run_until(std::future::pending()));
            }
            ready.send(address).unwrap();
            let stopped = async {
                let _ = stopped.await;
            };
            let worker = hasty(&inbox, place.registry());
            worker.run_until(stopped).await.unwrap();
        });
        Self {
            runtime,
            address: listening.await.unwrap(),
            stop,
            worker,
        }
    }

    async fn restart(self, place: &Arc<Place>, killed: bool) -> Self {
        let address = self.address;
        self.end(killed).await;
        Self::start(place, address).await
    }

    /// Stops it as a signal does, or at once, in the middle of whatever it does.
    async fn end(self, killed: bool) {
        if !killed {
            drop(self.stop);
            self.worker.await.unwrap();
        }
        // Its threads may be in the middle of something, which ends at the next await.
        let ended = tokio::task::spawn_blocking(move || drop(self.runtime));
        ended.await.unwrap();
    }
}

/// Others may have taken the port for a moment, as their own end of a connection.
async fn bind(address: SocketAddr) -> TcpListener {
    for _ in 0..1_000 {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_) => time::sleep(Duration::from_millis(5)).await,
        }
    }
    panic!("{address} stays taken")
}

/// The timeout of a request, because a stalling API never answers.
const STALLED: Duration = Duration::from_millis(500);
