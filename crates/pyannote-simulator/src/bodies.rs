use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use bytes::Bytes;
use serde_json::value::{RawValue, to_raw_value};
use tower_pyannote::{Kind, Status, WebhookEvent, event::Delivery};

use crate::{error::SimulatorError, jobs::date, submission::Task};

/// The bodies in a directory, from which jobs take their outputs.
#[derive(Debug, Default)]
pub(crate) struct Bodies(Vec<(Kind, PathBuf)>);

impl Bodies {
    /// Finds the bodies of successful jobs among the `.json` files of a directory, and sorts them by file name.
    pub(crate) fn find(dir: &Path) -> Result<Self, SimulatorError> {
        let fail = |path: &Path, error| {
            let path = path.to_owned();
            SimulatorError::Bodies { path, error }
        };
        let mut bodies = Vec::new();
        for entry in fs::read_dir(dir).map_err(|error| fail(dir, error))? {
            let path = entry.map_err(|error| fail(dir, error))?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let raw = fs::read(&path).map_err(|error| fail(&path, error))?;
            let event = WebhookEvent::new(raw.into(), Delivery::at(SystemTime::now()))
                .map_err(|error| fail(&path, io::Error::other(error)))?;
            match event.kind() {
                Some(kind) if *event.status() == Status::Succeeded => bodies.push((kind, path)),
                _ => {}
            }
        }
        if bodies.is_empty() {
            let error = io::Error::other("no .json file is the body of a job that succeeded");
            return Err(fail(dir, error));
        }
        bodies.sort_by(|a, b| a.1.cmp(&b.1));
        Ok(Self(bodies))
    }

    /// Returns the body for a job: the bodies of its kind take turns.
    pub(crate) fn choose(&self, task: Task, number: u64) -> Option<&Path> {
        let kind = match task {
            Task::Diarize => Kind::Diarization,
            Task::Identify => Kind::Identification,
            Task::Voiceprint => Kind::Voiceprint,
        };
        let fitting: Vec<_> = self.0.iter().filter(|body| body.0 == kind).collect();
        let count = u64::try_from(fitting.len()).ok()?;
        let at = usize::try_from(number.checked_rem(count)?).ok()?;
        fitting.get(at).map(|body| body.1.as_path())
    }
}

/// Reads a body, and puts in the id and dates of a job.
pub(crate) fn read_as(
    path: &Path,
    job_id: &str,
    with_output: bool,
    dates: Option<(SystemTime, SystemTime)>,
) -> io::Result<Bytes> {
    let raw = fs::read(path)?;
    let mut body: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&raw)?;
    let mut set = |name: &str, value: &str| -> serde_json::Result<()> {
        body.insert(name.to_owned(), to_raw_value(value)?);
        Ok(())
    };
    set("jobId", job_id)?;
    if let Some((created, updated)) = dates {
        set("createdAt", &date(created))?;
        set("updatedAt", &date(updated))?;
    }
    if !with_output {
        body.remove("output");
    }
    Ok(serde_json::to_vec(&body)?.into())
}
