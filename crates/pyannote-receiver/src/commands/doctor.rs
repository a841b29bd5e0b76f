//! `pyannote-receiver doctor`: why a stored delivery is refused.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use pyannote_cli::{Failure, print};

use super::file;
use crate::{doctor::Doctor, secrets::Secrets, settings::WebhookSecret};

/// Explain why a delivery is refused; exits with 0 if it is accepted, with 1 if it is refused
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Case {
    /// The whole request: request line, headers, a blank line, body
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,

    /// Instead of --request: the headers, one a line, as received, as `curl -v` prints them, or as `curl -H` takes them
    #[arg(long, value_name = "FILE")]
    headers: Option<PathBuf>,

    /// With --headers: the body, byte for byte as received
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,

    /// The time of the delivery in Unix seconds [default: now]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=MAX_TIME))]
    now: Option<u64>,

    #[command(flatten)]
    _secret: WebhookSecret,
}

pub(crate) fn run(case: &Case, secrets: &Secrets) -> Result<ExitCode, Failure> {
    let secret = secrets.webhook()?;
    let (head, body) = case.read()?;
    let now = case.now.map_or_else(SystemTime::now, |seconds| {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    });
    let doctor = Doctor::from_setting(secret.as_bytes());
    let diagnosis = doctor.diagnose(&headers(&head)?, &body, now);
    print(format!("{diagnosis}\n"))?;
    Ok(ExitCode::from(u8::from(!diagnosis.is_verified())))
}

impl Case {
    fn read(&self) -> Result<(String, Vec<u8>), Failure> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match (&self.request, &self.headers, &self.body) {
            (Some(request), None, None) => {
                let request = file::read("--request", request)?;
                let (head, body) = split(&request);
                Ok((text(head), body.to_vec()))
            }
            (None, Some(headers), Some(body)) => {
                let head = file::read("--headers", headers)?;
                Ok((text(&head), file::read("--body", body)?))
            }
            _ => Err(Failure::usage(
                "give --request FILE, or --headers FILE and --body FILE",
            )),
        }
    }
}

/// Splits a request at its first blank line.
fn split(request: &[u8]) -> (&[u8], &[u8]) {
    let mut start = 0;
    for line in request.split_inclusive(|&byte| byte == b'\n') {
        let end = start + line.len();
        if matches!(line, b"\n" | b"\r\n") {
            return (&request[..start], &request[end..]);
        }
        start = end;
    }
    (request, &[])
}

/// Reads the headers of the request, and ignores all other lines that curl prints.
pub(crate) fn headers(head: &str) -> Result<HeaderMap, Failure> {
    let mut lines: Vec<(HeaderName, String)> = Vec::new();
    for line in head.lines() {
        let line = line.strip_prefix("> ").unwrap_or(line);
        if let Some(header) = header(line) {
            lines.push(header);
        } else if let (true, Some((_, value))) = (line.starts_with([' ', '\t']), lines.last_mut()) {
            value.push(' ');
            value.push_str(line.trim());
        }
    }
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        if let Ok(value) = HeaderValue::from_bytes(value.trim().as_bytes()) {
            let too_many =
                "the head has more header lines than any server takes: keep those of one request";
            let added = headers.try_append(name, value);
            added.map_err(|_| Failure::usage(too_many))?;
        }
    }
    Ok(headers)
}

fn header(line: &str) -> Option<(HeaderName, String)> {
    let line = line.trim().trim_end_matches('\\').trim_end();
    let option = line.strip_prefix("-H");
    let option = option.or_else(|| line.strip_prefix("--header"));
    let line = option.map_or(line, |quoted| {
        let quoted = quoted.trim().trim_start_matches('=');
        let inner = |quote| quoted.strip_prefix(quote)?.strip_suffix(quote);
        inner('\'').or_else(|| inner('"')).unwrap_or(quoted)
    });
    let (name, value) = line.split_once(':')?;
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    Some((name, value.trim().to_owned()))
}

/// The end of the year 9999.
const MAX_TIME: u64 = 253_402_300_799;

const AFTER_HELP: &str = "\
The secret is read from PYANNOTEAI_WEBHOOK_SECRET, as the server reads it. The output contains no secret and no signature.

Examples:
  pyannote-receiver doctor --request delivery.txt
  pyannote-receiver doctor --headers headers.txt --body body.json --now 1767225600";
