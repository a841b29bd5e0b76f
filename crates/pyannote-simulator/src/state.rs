use std::{
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use axum::http::StatusCode;
use fastrand::Rng;
use reqwest::Client;
use serde_json::Value;
use tokio::{sync::watch, task::JoinSet};
use tower_pyannote::testing::{EventBuilder, WebhookSender};

use crate::{
    bodies::Bodies,
    clock::ScaledClock,
    config::Config,
    error::SimulatorError,
    faults::{Dealer, Fault},
    http,
    jobs::{DeliveryState, End, Job, Jobs},
    limit::{Limits, RateLimit, Turn},
    media::Media,
    submission::Submission,
};

/// The state of a simulator.
pub(crate) struct Simulated {
    pub(crate) config: Config,
    pub(crate) clock: ScaledClock,
    pub(crate) media: Arc<Media>,
    pub(crate) bodies: Bodies,
    pub(crate) http: Client,
    pub(crate) sender: WebhookSender<ScaledClock>,
    /// One more than the highest number of a job whose delivery is over.
    pub(crate) delivered: watch::Sender<u64>,
    jobs: Mutex<Jobs>,
    limits: Mutex<Limits>,
    job_faults: Mutex<Dealer>,
    api: Mutex<(Dealer, Rng)>,
    running: Mutex<JoinSet<()>>,
}

impl Simulated {
    /// Checks the settings, and reads and creates the directories that they name.
    pub(crate) fn new(config: Config) -> Result<Self, SimulatorError> {
        if !SCALES.contains(&config.time_scale) {
            return Err(SimulatorError::TimeScale);
        }
        if config.duration > DAY {
            return Err(SimulatorError::Duration);
        }
        if config.rate_limit == RateLimit::PerMinute(0) {
            return Err(SimulatorError::RateLimit);
        }
        let clock = ScaledClock::new(config.time_scale);
        let minute = clock.real(Duration::from_secs(60));
        let limits = Limits::new(config.rate_limit_style, config.rate_limit, minute);
        let requests = Rng::with_seed(config.seed ^ OF_REQUESTS);
        let bodies = match &config.bodies {
            Some(dir) => Bodies::find(dir)?,
            None => Bodies::default(),
        };
        Ok(Self {
            clock,
            media: Arc::new(Media::open(config.data_dir.as_deref(), clock.real(DAY))?),
            bodies,
            http: http::client()?,
            sender: sender(&config, clock)?,
            delivered: watch::Sender::new(0),
            jobs: Mutex::default(),
            limits: Mutex::new(limits),
            job_faults: Mutex::new(Dealer::of_jobs(config.faults.clone())),
            api: Mutex::new((Dealer::of_the_api(config.faults.clone()), requests)),
            running: Mutex::default(),
            config,
        })
    }

    pub(crate) fn jobs(&self) -> MutexGuard<'_, Jobs> {
        lock(&self.jobs)
    }

    /// Returns every job, the oldest first.
    pub(crate) fn all_jobs(&self) -> Value {
        self.jobs().iter().map(Job::to_json).collect()
    }

    /// Adds a job and returns its id and number.
    pub(crate) fn add_job(&self, submission: Submission, audio_missing: bool) -> (String, u64) {
        let mut jobs = self.jobs();
        let number = jobs.next_number();
        let seed = self
            .config
            .seed
            .wrapping_add(number.wrapping_mul(FAR_APART));
        let mut rng = Rng::with_seed(seed);
        let faults = lock(&self.job_faults).deal(&mut rng);
        let seed = rng.u64(..);
        let end = if audio_missing {
            let error = Some("the audio could not be loaded: nothing was uploaded there");
            End::Failure { error }
        } else if faults.contains(&Fault::JobFails) {
            let error = rng.bool().then_some("the audio could not be loaded");
            End::Failure { error }
        } else if faults.contains(&Fault::JobCanceled) {
            End::Cancellation
        } else {
            End::Success
        };
        let id = EventBuilder::status_only().with_seed(seed).job_id();
        let now = SystemTime::now();
        let delivery = match submission.webhook {
            Some(_) => DeliveryState::Pending,
            None => DeliveryState::None,
        };
        jobs.add(Job {
            id: id.clone(),
            number,
            seed,
            submission,
            faults,
            end,
            status: "created",
            created: now,
            updated: now,
            delivery,
            attempts: Vec::new(),
        });
        (id, number)
    }

    /// Runs a task until it ends or [`Simulated::abandon`] is called.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut running = lock(&self.running);
        while running.try_join_next().is_some() {}
        running.spawn(task);
    }

    /// Stops all tasks.
    pub(crate) fn abandon(&self) {
        lock(&self.running).abort_all();
    }

    /// Counts a request to a path for the rate limit. Returns `None` if there is no limit.
    pub(crate) fn take_turn(&self, path: &str, now: Instant) -> Option<Turn> {
        lock(&self.limits).take(path, now)
    }

    pub(crate) fn api_faults(&self) -> Vec<Fault> {
        let (dealer, rng) = &mut *lock(&self.api);
        dealer.deal(rng)
    }

    pub(crate) fn request_id(&self) -> String {
        let seed = lock(&self.api).1.u64(..);
        EventBuilder::status_only().with_seed(seed).job_id()
    }

    pub(crate) fn server_error(&self) -> StatusCode {
        match lock(&self.api).1.u8(0..3) {
            0 => StatusCode::INTERNAL_SERVER_ERROR,
            1 => StatusCode::BAD_GATEWAY,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

fn sender(
    config: &Config,
    clock: ScaledClock,
) -> Result<WebhookSender<ScaledClock>, SimulatorError> {
    let sender = WebhookSender::new(&config.secret)
        .with_clock(clock)
        .with_encoding(config.encoding)
        .with_version_prefix(config.version_prefix)
        .with_sign_once(config.sign_once);
    match config.answer_timeout {
        Some(timeout) => sender
            .with_timeout(clock.simulated(timeout))
            .map_err(|_| SimulatorError::AnswerTimeout),
        None => Ok(sender),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const SCALES: RangeInclusive<f64> = 0.001..=1_000_000.0;

/// The distance between the seeds of two jobs: 2^64 divided by the golden ratio.
const FAR_APART: u64 = 0x9e37_79b9_7f4a_7c15;
const OF_REQUESTS: u64 = 0x7265_7175_6573_7473;
