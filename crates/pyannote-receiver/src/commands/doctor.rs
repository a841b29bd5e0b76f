//! `pyannote-receiver doctor`: why a delivery that was kept is refused.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime},
};

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use pyannote_cli::Failure;

use crate::{doctor::Doctor, settings::SECRET};

/// Says why a delivery is refused; ends with 0 if it is not, with 1 if it is
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Case {
    /// The request as it came: request line, headers, a blank line, body
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,

    /// In place of it, the headers, one a line, as they came or as curl shows or takes them
    #[arg(long, value_name = "FILE")]
    headers: Option<PathBuf>,

    /// And the body as it came, byte for byte
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,

    /// When it came, in Unix seconds [default: now]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=MAX_TIME))]
    now: Option<u64>,
}

pub(crate) fn run(case: &Case) -> Result<ExitCode, Failure> {
    let secret = std::env::var_os(SECRET)
        .ok_or_else(|| Failure::usage(format!("environment variable {SECRET} is not set")))?;
    let (head, body) = case.read()?;
    let now = case.now.map_or_else(SystemTime::now, |seconds| {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    });

    let doctor = Doctor::from_setting(secret.into_encoded_bytes());
    let diagnosis = doctor.diagnose(&headers(&head)?, &body, now);
    // Nobody may be left to read it.
    let _ = writeln!(io::stdout(), "{diagnosis}");
    Ok(ExitCode::from(u8::from(!diagnosis.is_verified())))
}

impl Case {
    fn read(&self) -> Result<(String, Vec<u8>), Failure> {
        match (&self.request, &self.headers, &self.body) {
            (Some(request), None, None) => {
                let request = read("--request", request)?;
                let (head, body) = parted(&request);
                Ok((text(head), body.to_vec()))
            }
            (None, Some(headers), Some(body)) => {
                let head = read("--headers", headers)?;
                Ok((text(&head), read("--body", body)?))
            }
            _ => Err(Failure::usage(
                "give --request FILE, or --headers FILE and --body FILE",
            )),
        }
    }
}

fn read(flag: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let name = path.display();
    let failed = |error| Failure::usage(format!("{flag} {name}: cannot be read: {error}"));
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE) {
        return Err(Failure::usage(format!(
            "{flag} {name}: is over {MAX_FILE} bytes, more than a receiver takes"
        )));
    }
    Ok(bytes)
}

/// Parts a request at its first blank line.
fn parted(request: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    while let Some(length) = request[at..].iter().position(|&byte| byte == b'\n') {
        let next = at + length + 1;
        if matches!(&request[at..next], b"\n" | b"\r\n") {
            return (&request[..at], &request[next..]);
        }
        at = next;
    }
    (request, &[])
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads the headers of the request, past what else curl prints.
fn headers(head: &str) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    let mut folded: Vec<(HeaderName, String)> = Vec::new();
    for line in head.lines() {
        let line = line.strip_prefix("> ").unwrap_or(line);
        if let Some(header) = header(line) {
            folded.push(header);
        } else if let (true, Some((_, value))) = (line.starts_with([' ', '\t']), folded.last_mut())
        {
            value.push(' ');
            value.push_str(line.trim());
        }
    }
    for (name, value) in folded {
        if let Ok(value) = HeaderValue::from_bytes(value.trim().as_bytes()) {
            headers.try_append(name, value).map_err(|_| {
                Failure::usage(
                    "the head has more header lines than any server takes: keep those of one request",
                )
            })?;
        }
    }
    Ok(headers)
}

fn header(line: &str) -> Option<(HeaderName, String)> {
    let line = line.trim().trim_end_matches('\\').trim_end();
    let argument = line
        .strip_prefix("-H")
        .or_else(|| line.strip_prefix("--header"));
    let line = argument.map_or(line, |quoted| {
        let quoted = quoted.trim().trim_start_matches('=');
        let inner = |quote| quoted.strip_prefix(quote)?.strip_suffix(quote);
        inner('\'').or_else(|| inner('"')).unwrap_or(quoted)
    });
    let (name, value) = line.split_once(':')?;
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    Some((name, value.trim().to_owned()))
}

const MAX_FILE: u64 = 129 << 20;

/// The end of the year 9999.
const MAX_TIME: u64 = 253_402_300_799;

const AFTER_HELP: &str = "\
The secret is taken from where the server takes it: PYANNOTEAI_WEBHOOK_SECRET, or `.env` in this directory.
Neither the secret nor a signature is printed.";
