use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use bytes::Bytes;
use serde_json::value::{RawValue, to_raw_value};
use tower_pyannote::{Kind, Status, WebhookEvent, event::Delivery};

use super::{jobs::date, submission::Task};

/// Bodies of a directory, which jobs end with in place of made-up ones.
#[derive(Debug, Default)]
pub(super) struct Bodies(Vec<(Kind, PathBuf)>);

impl Bodies {
    /// Finds the bodies of successful jobs among the `.json` files of a directory, in the order of their names.
    pub(super) fn of(dir: &Path) -> Result<Self, String> {
        let fail = |what: String| format!("--bodies {}: {what}", dir.display());
        let mut bodies = Vec::new();
        for entry in fs::read_dir(dir).map_err(|error| fail(error.to_string()))? {
            let path = entry.map_err(|error| fail(error.to_string()))?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let name = path.display().to_string();
            let raw = fs::read(&path).map_err(|error| fail(format!("{name}: {error}")))?;
            let event = WebhookEvent::new(raw.into(), Delivery::at(SystemTime::now()))
                .map_err(|error| fail(format!("{name}: {error}")))?;
            match event.kind() {
                Some(kind) if *event.status() == Status::Succeeded => bodies.push((kind, path)),
                _ => {}
            }
        }
        if bodies.is_empty() {
            return Err(fail("no .json file there is the body of a success".into()));
        }
        bodies.sort_by(|a, b| a.1.cmp(&b.1));
        Ok(Self(bodies))
    }

    /// The one that a job ends with, if there is one of its kind: each in its turn.
    pub(super) fn choose(&self, task: Task, number: u64) -> Option<&Path> {
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

/// A body as it is in its file, but of this job.
pub(super) fn read_as(
    path: &Path,
    job_id: &str,
    with_output: bool,
    dates: Option<(SystemTime, SystemTime)>,
) -> Result<Bytes, String> {
    let fail = |error: String| format!("{}: {error}", path.display());
    let raw = fs::read(path).map_err(|error| fail(error.to_string()))?;
    let mut body: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(&raw).map_err(|error| fail(error.to_string()))?;
    let mut set = |name: &str, value: &str| -> Result<(), String> {
        let value = to_raw_value(value).map_err(|error| fail(error.to_string()))?;
        body.insert(name.to_owned(), value);
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
    let body = serde_json::to_vec(&body).map_err(|error| fail(error.to_string()))?;
    Ok(body.into())
}
