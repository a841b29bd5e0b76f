use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::json;
use tokio::task;
use tower_pyannote::testing::EventBuilder;

use crate::{
    bodies,
    jobs::{End, Job, date},
    state::Simulated,
};

/// Returns the body of a job's webhook.
pub(crate) async fn of_webhook(simulated: &Arc<Simulated>, job: &Job) -> io::Result<Bytes> {
    let with_output = !job.submission.status_only;
    make(simulated, job, with_output, false).await
}

/// Returns what `GET /v1/jobs/{id}` answers. The output is deleted a day after the job ended.
pub(crate) async fn of_api(simulated: &Arc<Simulated>, job: &Job) -> io::Result<Bytes> {
    if !job.is_over() {
        let (created, updated) = (date(job.created), date(job.updated));
        let body = json!({
            "jobId": job.id, "status": job.status, "createdAt": created, "updatedAt": updated,
        });
        return Ok(body.to_string().into());
    }
    let age = job.updated.elapsed().unwrap_or_default();
    let with_output = age < simulated.clock.real(DAY);
    make(simulated, job, with_output, true).await
}

/// Makes the body from the job's seed. Nothing is cached, because the output of a day of audio is large.
async fn make(
    simulated: &Arc<Simulated>,
    job: &Job,
    with_output: bool,
    with_dates: bool,
) -> io::Result<Bytes> {
    let (simulated, job) = (Arc::clone(simulated), job.clone());
    let make = move || {
        let chosen = match job.end {
            End::Success => simulated.bodies.choose(job.submission.task, job.number),
            _ => None,
        };
        let dates = with_dates.then_some((job.created, job.updated));
        if let Some(path) = chosen {
            return bodies::read_as(path, &job.id, with_output, dates)
                .map_err(|error| io::Error::other(format!("{}: {error}", path.display())));
        }
        let mut builder = event(&job, with_output, simulated.config.duration)?
            .with_seed(job.seed)
            .with_job_id(&job.id);
        if let Some((created, updated)) = dates {
            builder = builder.with_dates(created, updated);
        }
        Ok(builder.build())
    };
    task::spawn_blocking(make).await?
}

fn event(job: &Job, with_output: bool, duration: Duration) -> io::Result<EventBuilder> {
    let submission = &job.submission;
    let event = match job.end {
        End::Failure { error: Some(error) } if with_output => {
            EventBuilder::failed().with_error(error)
        }
        End::Failure { .. } => EventBuilder::failed(),
        End::Cancellation => EventBuilder::canceled(),
        End::Success if with_output => {
            let event = submission.event.clone().with_duration(duration);
            let event = event.map_err(io::Error::other)?;
            match u64::from(submission.speakers) > duration.as_secs() {
                true => event.with_warning("numSpeakers could not be honored"),
                false => event,
            }
        }
        End::Success => EventBuilder::status_only(),
    };
    Ok(event)
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
