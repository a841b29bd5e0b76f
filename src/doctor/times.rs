use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::TimestampFault;
use super::text::{trimmed, unquoted};
use crate::headers::TIMESTAMP;

/// What the headers hold of times.
pub(super) struct Timestamps {
    pub(super) faults: Vec<TimestampFault>,
    /// What may have been signed as the timestamp.
    pub(super) texts: Vec<Vec<u8>>,
    /// The time near which another one may have been signed.
    pub(super) near: u64,
}

pub(super) fn read(
    headers: &HeaderMap,
    now: SystemTime,
    past: Duration,
    future: Duration,
) -> Timestamps {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut read = Timestamps {
        faults: Vec::new(),
        texts: Vec::new(),
        near: now.as_secs(),
    };
    let values = headers.get_all(&TIMESTAMP);
    let count = values.iter().count();
    if count == 0 {
        let other = OTHER_NAMES.iter().find_map(|name| headers.get(*name));
        read.faults.push(match other {
            Some(_) => TimestampFault::Renamed,
            None => TimestampFault::Missing,
        });
        other
            .into_iter()
            .for_each(|value| read.value(value.as_bytes(), now));
    }
    if count > 1 {
        read.faults.push(TimestampFault::Repeated { count });
    }
    for value in values.iter().take(MOST_VALUES) {
        read.value(value.as_bytes(), now);
    }
    read.texts.dedup();
    read.check_skew(now, past, future);
    read
}

impl Timestamps {
    fn value(&mut self, value: &[u8], now: Duration) {
        self.texts.push(value.to_vec());
        if (1..=19).contains(&value.len()) && value.iter().all(u8::is_ascii_digit) {
            return self.scale(&String::from_utf8_lossy(value), now);
        }
        let text = String::from_utf8_lossy(value);
        let mut text = &*text;
        if trimmed(text) != text {
            text = trimmed(text);
            self.clean(TimestampFault::Padded, text);
        }
        if let Some(inner) = unquoted(text) {
            text = inner;
            self.clean(TimestampFault::Quoted, text);
        }
        if let Some(seconds) = date(text) {
            self.clean(TimestampFault::Date, &seconds.to_string());
            return self.near = seconds;
        }
        if text.contains([',', ';', ' ']) {
            self.faults.push(TimestampFault::Joined);
            for part in text.split([',', ';', ' ']).map(trimmed).take(MOST_VALUES) {
                if is_number(part) {
                    self.texts.push(part.as_bytes().to_vec());
                    self.scale(part, now);
                }
            }
            return;
        }
        if let Some(digits) = text.strip_prefix(['+', '-']) {
            text = digits;
            self.clean(TimestampFault::Sign, text);
        }
        if let Some((whole, _)) = text.split_once('.').filter(|(whole, part)| {
            is_number(whole) && part.bytes().all(|byte| byte.is_ascii_digit())
        }) {
            text = whole;
            self.clean(TimestampFault::Fraction, text);
        }
        if is_number(text) && text.len() <= 19 {
            self.scale(text, now);
        } else {
            self.faults.push(match value.len() {
                0 => TimestampFault::Empty,
                length => TimestampFault::Malformed { length },
            });
        }
    }

    fn clean(&mut self, fault: TimestampFault, text: &str) {
        self.faults.push(fault);
        self.texts.push(text.as_bytes().to_vec());
    }

    /// Tells a time in smaller units by its being near now as such.
    fn scale(&mut self, digits: &str, now: Duration) {
        let Ok(number) = digits.parse::<u64>() else {
            return;
        };
        self.near = number;
        for (unit, fault) in UNITS {
            let seconds = number / unit;
            if seconds.abs_diff(now.as_secs()) <= YEAR {
                self.clean(fault, &seconds.to_string());
                self.near = seconds;
            }
        }
    }

    /// Checks what a receiver checks last: the age of the one time that there is.
    fn check_skew(&mut self, now: Duration, past: Duration, future: Duration) {
        if self.texts.is_empty() || self.faults.iter().any(|fault| fault.hides_the_time()) {
            return;
        }
        let sent = Duration::from_secs(self.near);
        let (older, newer) = (now.saturating_sub(sent), sent.saturating_sub(now));
        if older > past {
            let seconds = older.as_secs();
            let hours = whole_hours(seconds);
            self.faults.push(TimestampFault::Stale { seconds, hours });
        }
        if newer > future {
            let seconds = newer.as_secs();
            let hours = whole_hours(seconds);
            self.faults.push(TimestampFault::Future { seconds, hours });
        }
    }
}

impl TimestampFault {
    fn hides_the_time(self) -> bool {
        matches!(self, Self::Missing | Self::Empty | Self::Malformed { .. })
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn date(text: &str) -> Option<u64> {
    let time = text
        .parse::<Timestamp>()
        .ok()
        .or_else(|| rfc2822::DateTimeParser::new().parse_timestamp(text).ok())?;
    u64::try_from(time.as_second()).ok()
}

fn whole_hours(seconds: u64) -> Option<u64> {
    let hours = (seconds + HOUR / 2) / HOUR;
    ((1..=14).contains(&hours) && seconds.abs_diff(hours * HOUR) <= 600).then_some(hours)
}

const UNITS: [(u64, TimestampFault); 3] = [
    (1_000, TimestampFault::Milliseconds),
    (1_000_000, TimestampFault::Microseconds),
    (1_000_000_000, TimestampFault::Nanoseconds),
];
const HOUR: u64 = 3600;
const YEAR: u64 = 366 * 24 * HOUR;
const OTHER_NAMES: [&str; 8] = [
    "x_request_timestamp",
    "x-timestamp",
    "x-signature-timestamp",
    "x-webhook-timestamp",
    "x-original-request-timestamp",
    "webhook-timestamp",
    "request-timestamp",
    "http_x_request_timestamp",
];
const MOST_VALUES: usize = 4;
