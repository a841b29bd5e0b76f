use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use axum::http::StatusCode;
use fastrand::Rng;
use reqwest::Client;
use serde_json::Value;
use tokio::{sync::watch, task::JoinSet};
use tower_pyannote::testing::EventBuilder;

use super::{
    bodies::Bodies,
    clock::ScaledClock,
    config::Config,
    faults::{Dealer, Fault},
    jobs::{DeliveryState, End, Job, Jobs},
    limit::{Turn, Window},
    media::Media,
    submission::Submission,
};

/// All that a simulator knows.
#[derive(Debug)]
pub(super) struct Simulated {
    pub(super) config: Config,
    pub(super) clock: ScaledClock,
    pub(super) media: Media,
    pub(super) bodies: Bodies,
    pub(super) http: Client,
    /// The highest number of a job whose delivery is over, and one more.
    pub(super) delivered: watch::Sender<u64>,
    jobs: Mutex<Jobs>,
    window: Mutex<Option<Window>>,
    job_faults: Mutex<Dealer>,
    api: Mutex<(Dealer, Rng)>,
    running: Mutex<JoinSet<()>>,
}

impl Simulated {
    pub(super) fn new(config: Config, media: Media, bodies: Bodies, http: Client) -> Self {
        let clock = ScaledClock::new(config.time_scale);
        let minute = clock.real(Duration::from_secs(60));
        let limit = config
            .rate_limit
            .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let faults = config.faults.clone();
        let requests = Rng::with_seed(config.seed ^ OF_REQUESTS);
        Self {
            clock,
            media,
            bodies,
            http,
            delivered: watch::Sender::new(0),
            jobs: Mutex::default(),
            window: Mutex::new(limit.map(|limit| Window::new(limit, minute))),
            job_faults: Mutex::new(Dealer::new(faults.clone(), &Fault::OF_JOBS)),
            api: Mutex::new((Dealer::new(faults, &Fault::OF_THE_API), requests)),
            running: Mutex::default(),
            config,
        }
    }

    pub(super) fn jobs(&self) -> MutexGuard<'_, Jobs> {
        lock(&self.jobs)
    }

    /// Every job, the oldest first.
    pub(super) fn all_jobs(&self) -> Value {
        self.jobs().iter().map(Job::to_json).collect()
    }

    /// Takes a job up, which then runs by itself.
    pub(super) fn submit(self: &Arc<Self>, submission: Submission, missing: bool) -> String {
        let mut jobs = self.jobs();
        let number = jobs.next_number();
        let seed = self
            .config
            .seed
            .wrapping_add(number.wrapping_mul(FAR_APART));
        let mut rng = Rng::with_seed(seed);
        let faults = lock(&self.job_faults).deal(&mut rng);
        let seed = rng.u64(..);
        let end = if missing {
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
        drop(jobs);

        let mut running = lock(&self.running);
        while running.try_join_next().is_some() {}
        running.spawn(super::run::run(Arc::clone(self), number));
        id
    }

    /// Ends all jobs where they are.
    pub(super) fn abandon(&self) {
        lock(&self.running).abort_all();
    }

    /// Whether one more request may come now, and of how many; `None` if that is not limited.
    pub(super) fn take_turn(&self, now: Instant) -> Option<(usize, Turn)> {
        let mut window = lock(&self.window);
        let window = window.as_mut()?;
        Some((window.limit(), window.take(now)))
    }

    pub(super) fn api_faults(&self) -> Vec<Fault> {
        let (dealer, rng) = &mut *lock(&self.api);
        dealer.deal(rng)
    }

    pub(super) fn request_id(&self) -> String {
        let seed = lock(&self.api).1.u64(..);
        EventBuilder::status_only().with_seed(seed).job_id()
    }

    pub(super) fn server_error(&self) -> StatusCode {
        match lock(&self.api).1.u8(0..3) {
            0 => StatusCode::INTERNAL_SERVER_ERROR,
            1 => StatusCode::BAD_GATEWAY,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What separates the seeds of jobs: 2^64 divided by the golden ratio.
const FAR_APART: u64 = 0x9e37_79b9_7f4a_7c15;
const OF_REQUESTS: u64 = 0x7265_7175_6573_7473;
