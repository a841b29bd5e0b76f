use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use tokio::task;
use tower_pyannote::testing::EventBuilder;

use super::{
    jobs::{End, Job, date},
    state::Simulated,
    submission::Task,
};

/// What a webhook is told of a job that is over.
pub(super) async fn of_webhook(simulated: &Arc<Simulated>, job: &Job) -> Result<Bytes, String> {
    let with_output = !job.submission.status_only;
    made(simulated, job, with_output, false).await
}

/// What the API tells of a job, whose output is deleted after a day.
pub(super) async fn of_api(simulated: &Arc<Simulated>, job: &Job) -> Result<Bytes, String> {
    if !job.is_over() {
        let (created, updated) = (date(job.created), date(job.updated));
        let body = json!({
            "jobId": job.id, "status": job.status, "createdAt": created, "updatedAt": updated,
        });
        return Ok(body.to_string().into());
    }
    let age = job.updated.elapsed().unwrap_or_default();
    let with_output = age < simulated.clock.real(DAY);
    made(simulated, job, with_output, true).await
}

/// It is made anew each time, so that no output of a day of audio is kept in memory.
async fn made(
    simulated: &Arc<Simulated>,
    job: &Job,
    with_output: bool,
    with_dates: bool,
) -> Result<Bytes, String> {
    let (simulated, job) = (Arc::clone(simulated), job.clone());
    let make = move || {
        let chosen = match job.end {
            End::Success => simulated.bodies.choose(job.submission.task, job.number),
            _ => None,
        };
        let dates = with_dates.then_some((job.created, job.updated));
        if let Some(path) = chosen {
            return super::bodies::read_as(path, &job.id, with_output, dates);
        }
        let builder = match with_output {
            true => builder(&simulated, &job),
            false => without_output(&job),
        };
        let mut builder = builder?.with_seed(job.seed).with_job_id(&job.id);
        if let Some((created, updated)) = dates {
            builder = builder.with_dates(created, updated);
        }
        Ok(builder.build())
    };
    let made = task::spawn_blocking(make).await;
    made.map_err(|error| error.to_string())?
}

fn without_output(job: &Job) -> Result<EventBuilder, String> {
    Ok(match job.end {
        End::Success => EventBuilder::status_only(),
        End::Failure { .. } => EventBuilder::failed(),
        End::Cancellation => EventBuilder::canceled(),
    })
}

fn builder(simulated: &Simulated, job: &Job) -> Result<EventBuilder, String> {
    let asked = &job.submission;
    let builder = match (&job.end, asked.task) {
        (End::Failure { error: None }, _) => return Ok(EventBuilder::failed()),
        (End::Failure { error: Some(error) }, _) => {
            return Ok(EventBuilder::failed().with_error(*error));
        }
        (End::Cancellation, _) => return Ok(EventBuilder::canceled()),
        (End::Success, Task::Voiceprint) => return Ok(EventBuilder::voiceprint()),
        (End::Success, Task::Diarize) => EventBuilder::diarization(),
        (End::Success, Task::Identify) => EventBuilder::identification(),
    };
    let speakers = asked.speakers.unwrap_or(3);
    let duration = simulated.config.duration;
    let builder = builder
        .with_duration(duration)
        .map_err(|error| error.to_string())?
        .with_speakers(speakers)
        .with_words(asked.transcription)
        .with_exclusive(asked.exclusive)
        .with_turn_confidence(asked.turn_confidence)
        .with_confidence(asked.confidence)
        .with_speech_probability(asked.speech_probability)
        .with_crosstalk_probability(asked.crosstalk_probability)
        .with_speaker_probability(asked.speaker_probability)
        .with_labels(asked.labels.iter().cloned())
        .with_exclusive_matching(asked.matching_exclusive)
        .with_matching_threshold(asked.matching_threshold);
    Ok(match u64::from(speakers) > duration.as_secs() {
        true => builder.with_warning("numSpeakers could not be honored"),
        false => builder,
    })
}

const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);
