use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use tower_pyannote::Signature;

use super::causes::*;
use super::text::{percent_decoded, trimmed, unquoted};
use super::{Finding, SIGNATURE, TIMESTAMP};

/// The times and signatures in the headers, and what is wrong with them.
#[derive(Default)]
pub(super) struct Headers {
    pub(super) findings: Vec<Finding>,
    /// The texts that may have been signed as the timestamp.
    pub(super) timestamps: Vec<Vec<u8>>,
    pub(super) time: Option<u64>,
    pub(super) digests: Vec<[u8; 32]>,
}

/// Reverts a cause. Returns `None` if the value does not show the cause.
type Undo = fn(&str) -> Option<String>;

impl Headers {
    pub(super) fn read(headers: &HeaderMap, now: Duration, tolerance: Duration) -> Self {
        let mut read = Self::default();
        let unusual = [TIMESTAMP_MISSING, TIMESTAMP_RENAMED, TIMESTAMP_REPEATED];
        for value in read.values(headers, TIMESTAMP, unusual) {
            read.timestamp(value);
        }
        read.timestamps.sort_unstable();
        read.timestamps.dedup();
        let skew = read.time.and_then(|time| skew(time, now, tolerance));
        read.findings.extend(skew);
        let unusual = [SIGNATURE_MISSING, SIGNATURE_RENAMED, SIGNATURE_REPEATED];
        for value in read.values(headers, SIGNATURE, unusual) {
            read.signature(value);
        }
        read
    }

    /// Returns the values of a header, or of one with a similar name if it is missing.
    fn values<'a>(
        &mut self,
        headers: &'a HeaderMap,
        name: &str,
        [missing, renamed, repeated]: [Cause; 3],
    ) -> Vec<&'a [u8]> {
        let is_similar = |other: &str| match name {
            TIMESTAMP => other.contains("timestamp"),
            _ => other.contains("signature") && !other.contains("timestamp"),
        };
        let mut similar = headers.iter().filter(|(name, _)| is_similar(name.as_str()));
        let mut values: Vec<_> = headers.get_all(name).iter().take(MAX_VALUES).collect();
        let cause = match (values.len(), similar.next()) {
            (0, None) => Some(missing),
            (0, Some((_, value))) => {
                values.push(value);
                Some(renamed)
            }
            (count, _) => (count > 1).then_some(repeated),
        };
        let finding = |cause| Finding::of(&format!("the {name} header"), cause);
        self.findings.extend(cause.map(finding));
        values.into_iter().map(HeaderValue::as_bytes).collect()
    }

    fn timestamp(&mut self, value: &[u8]) {
        self.timestamps.push(value.to_vec());
        let mut text = String::from_utf8_lossy(value).into_owned();
        for (cause, undo) in TIMESTAMP_REPAIRS {
            if let Some(undone) = undo(&text) {
                text = undone;
                self.timestamps.push(text.clone().into_bytes());
                self.findings.push(Finding::of(IN_TIMESTAMP, cause));
            }
        }
        let parts = text.split([',', ';', ' ']).take(MAX_VALUES);
        let is_time = |part: &&str| is_number(part) && part.len() <= 19;
        let times: Vec<&str> = parts.filter(is_time).collect();
        self.time = self.time.or_else(|| times.first()?.parse().ok());
        let texts = times.iter().map(|time| time.as_bytes().to_vec());
        self.timestamps.extend(texts);
        let cause = match times[..] {
            _ if value.is_empty() => TIMESTAMP_EMPTY,
            [] => TIMESTAMP_MALFORMED,
            [time] if time == text => return,
            _ => TIMESTAMP_JOINED,
        };
        self.findings.push(Finding::of(IN_TIMESTAMP, cause));
    }

    fn signature(&mut self, value: &[u8]) {
        let value = String::from_utf8_lossy(value);
        let mut text = value.clone().into_owned();
        let mut findings = Vec::new();
        let mut repairs = SIGNATURE_REPAIRS.into_iter();
        while let (None, Some((cause, undo))) = (digest(&text), repairs.next()) {
            if let Some(undone) = undo(&text) {
                text = undone;
                findings.push(Finding::of(IN_SIGNATURE, cause));
            }
        }
        if let Some(digest) = digest(&text) {
            self.findings.extend(findings);
            return self.digests.push(digest);
        }
        let parts = value.split([',', ';', ' ', '\t', '=']);
        let digests = parts.filter_map(|part| digest(trimmed(part)));
        let before = self.digests.len();
        self.digests.extend(digests.take(MAX_VALUES));
        let text = trimmed(&value);
        let cause = match text.strip_prefix("v0=").unwrap_or(text).len() {
            _ if self.digests.len() > before => SIGNATURE_JOINED,
            0 => SIGNATURE_EMPTY,
            43 | 44 | 64 => SIGNATURE_CHARACTERS,
            _ => SIGNATURE_LENGTH,
        };
        self.findings.push(Finding::of(IN_SIGNATURE, cause));
    }
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let hex = Signature::parse(text.as_bytes()).ok()?.to_hex();
    base16ct::lower::decode(hex, &mut digest).ok()?;
    Some(digest)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Describes a difference above the tolerance. Within 10 min of 1 to 14 whole hours it is that of a time zone.
fn skew(time: u64, now: Duration, tolerance: Duration) -> Option<Finding> {
    let time = Duration::from_secs(time);
    let (name, side, skew) = match now.checked_sub(time) {
        Some(skew) => ("timestamp_stale", "older", skew),
        None => ("timestamp_future", "newer", time.saturating_sub(now)),
    };
    let (seconds, hours) = (skew.as_secs(), (skew.as_secs() + HOUR / 2) / HOUR);
    let advice = if (1..=14).contains(&hours) && seconds.abs_diff(hours * HOUR) <= 600 {
        &format!("that is {hours} h, so one side takes local time for UTC")
    } else {
        "set the clocks, or send a fresh delivery if this one was kept"
    };
    let text = format!("the timestamp is {seconds} s {side} than now, over the tolerance");
    (skew > tolerance).then(|| Finding::new(name, format!("{text}: {advice}")))
}

/// Converts a smaller unit to seconds. From 2001 to 2286 a time has this many digits in that unit.
fn seconds(text: &str, digits: usize) -> Option<String> {
    (is_number(text) && text.len() == digits).then(|| text.chars().take(10).collect())
}

fn without_padding(text: &str) -> Option<String> {
    (trimmed(text) != text).then(|| trimmed(text).to_owned())
}

const TIMESTAMP_REPAIRS: [(Cause, Undo); 7] = [
    (TIMESTAMP_PADDED, without_padding),
    (TIMESTAMP_QUOTED, |text| Some(unquoted(text)?.into())),
    (TIMESTAMP_DATE, |text| {
        let rfc2822 = |_| DateTimeParser::new().parse_timestamp(text);
        let time = text.parse::<Timestamp>().or_else(rfc2822).ok()?;
        Some(time.as_second().to_string())
    }),
    (TIMESTAMP_FRACTION, |text| {
        let (whole, fraction) = text.split_once('.')?;
        (is_number(whole) && is_number(fraction)).then(|| whole.to_owned())
    }),
    (TIMESTAMP_MILLISECONDS, |text| seconds(text, 13)),
    (TIMESTAMP_MICROSECONDS, |text| seconds(text, 16)),
    (TIMESTAMP_NANOSECONDS, |text| seconds(text, 19)),
];

const SIGNATURE_REPAIRS: [(Cause, Undo); 7] = [
    (SIGNATURE_PADDED, without_padding),
    (SIGNATURE_QUOTED, |text| Some(unquoted(text)?.into())),
    (SIGNATURE_PREFIX_REPEATED, |text| {
        let is_repeated = text.starts_with("v0=v0=");
        is_repeated.then(|| text.trim_start_matches("v0=").to_owned())
    }),
    (SIGNATURE_PERCENT_ENCODED, |text| {
        String::from_utf8(percent_decoded(text.as_bytes())?).ok()
    }),
    (SIGNATURE_PLUS_LOST, |text| {
        Some(text.replace(' ', "+")).filter(|restored| digest(restored).is_some())
    }),
    (SIGNATURE_PREFIXED, |text| {
        let (prefix, rest) = text.split_once(['=', ':', ',', ' '])?;
        (prefix.len() < 16).then(|| trimmed(rest).to_owned())
    }),
    (SIGNATURE_BASE64URL, |text| {
        let standard = text.replace('-', "+").replace('_', "/");
        (standard != text).then_some(standard)
    }),
];

const IN_SIGNATURE: &str = "the x-signature header";
const IN_TIMESTAMP: &str = "the x-request-timestamp header";
const MAX_VALUES: usize = 4;
const HOUR: u64 = 3600;
