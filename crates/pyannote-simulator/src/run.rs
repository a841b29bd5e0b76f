use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tower_pyannote::clock::Clock;

use crate::{
    delivery,
    faults::Fault,
    jobs::{DeliveryState, Job},
    state::Simulated,
    submission::Submission,
};

/// Adds a job, starts it and returns its id.
pub(crate) fn start(
    simulated: &Arc<Simulated>,
    submission: Submission,
    audio_missing: bool,
) -> String {
    let (id, number) = simulated.add_job(submission, audio_missing);
    simulated.spawn(run(Arc::clone(simulated), number));
    id
}

/// Waits until the delivery of a job is over, if a fault asks for it.
pub(crate) async fn delivered_first(simulated: &Simulated, id: &str) {
    let is_over = || {
        let jobs = simulated.jobs();
        let Some(job) = jobs.by_id(id) else {
            return true;
        };
        let waits = job.faults.contains(&Fault::WebhookFirst);
        !waits || !matches!(job.delivery, DeliveryState::Pending)
    };
    let mut delivered = simulated.delivered.subscribe();
    tokio::select! {
        _ = delivered.wait_for(|_| is_over()) => {}
        () = tokio::time::sleep(LONGEST_ANSWER) => {}
    }
}

/// Takes a job from `created` through `running` to its end, then delivers the webhook.
async fn run(simulated: Arc<Simulated>, number: u64) {
    let time = simulated.config.job_time;
    simulated.clock.sleep(time / 4).await;
    change(&simulated, number, |job| job.status = "running");
    simulated.clock.sleep(time - time / 4).await;
    change(&simulated, number, |job| job.status = job.end.status());

    let job = simulated.jobs().by_number(number).cloned();
    let Some(job) = job.filter(|job| job.submission.webhook.is_some()) else {
        return;
    };
    delay(&simulated, &job).await;
    let accepted = delivery::deliver(&simulated, &job).await;
    let state = if accepted {
        DeliveryState::Delivered
    } else {
        DeliveryState::Lost
    };
    if let Some(job) = simulated.jobs().by_number(number) {
        job.delivery = state;
        let attempts = job.attempts.len();
        tracing::info!(job_id = job.id, attempts, delivery = ?state, "delivery is over");
    }
    simulated
        .delivered
        .send_modify(|latest| *latest = number.saturating_add(1).max(*latest));
}

/// Waits as long as the job's faults delay its delivery.
async fn delay(simulated: &Simulated, job: &Job) {
    if job.faults.contains(&Fault::Late) {
        simulated.clock.sleep(simulated.config.late_by).await;
    }
    if job.faults.contains(&Fault::Reordered) {
        let mut delivered = simulated.delivered.subscribe();
        tokio::select! {
            _ = delivered.wait_for(|latest| *latest > job.number + 1) => {}
            () = simulated.clock.sleep(LONGEST_DELAY) => {}
        }
    }
}

fn change(simulated: &Simulated, number: u64, change: impl FnOnce(&mut Job)) {
    if let Some(job) = simulated.jobs().by_number(number) {
        change(job);
        job.updated = SystemTime::now();
        tracing::info!(job_id = job.id, task = ?job.submission.task, status = job.status, "job changed");
    }
}

/// How long an answer waits for the delivery, in real time, because clients have timeouts.
const LONGEST_ANSWER: Duration = Duration::from_secs(30);

/// How long a reordered delivery waits for that of a later job.
const LONGEST_DELAY: Duration = Duration::from_secs(60);
