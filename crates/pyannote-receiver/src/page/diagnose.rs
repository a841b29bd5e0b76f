use std::time::SystemTime;

use crate::doctor::{Diagnosis, Doctor};

/// Diagnoses a request that was pasted into a form.
///
/// # Errors
///
/// Returns a sentence if the text has more headers than any server takes.
pub(super) fn text(request: &str, secrets: &[u8]) -> Result<Diagnosis, String> {
    // A form sends each line break as CR LF. A body of several lines had LF more often.
    let (head, body) = request.split_once("\r\n\r\n").unwrap_or((request, ""));
    let headers = crate::commands::doctor::headers(head).map_err(|failure| failure.to_string())?;
    let mut doctor = Doctor::from_setting(secrets);
    doctor.work_limit = DOCTOR_WORK;
    let now = SystemTime::now();
    let unix = body.replace("\r\n", "\n");
    let bodies = [body, unix.as_str(), unix.trim_end_matches('\n')];
    let diagnoses = bodies.map(|body| doctor.diagnose(&headers, body.as_bytes(), now));
    let [as_sent, ..] = &diagnoses;
    let best = diagnoses
        .iter()
        .find(|diagnosis| diagnosis.secret.is_some());
    Ok(best.unwrap_or(as_sent).clone())
}

/// About a second of hashing.
const DOCTOR_WORK: usize = 512 << 20;
