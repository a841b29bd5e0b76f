//! Reads the values of settings. Flags, variables and the settings file have the same syntax.

use std::{fmt, str::FromStr, time::Duration};

use bytesize::ByteSize;
use clap::ValueEnum;
use jiff::{Span, SpanRelativeTo};

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Serves `/webhook`, and commits deliveries to the inbox
    Receive,
    /// Runs handlers over the events in the inbox
    Work,
    /// Fetches events whose webhook did not arrive
    Reconcile,
}

/// Where the archive keeps the metadata of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ArchiveMetadata {
    /// In the object's attributes; nowhere in a directory, which has none
    Attributes,
    /// In a file of its own
    Sidecar,
    /// Nowhere
    None,
}

/// Where the pages for the operator are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Private {
    /// On the public listener.
    Shared,
    /// On a listener of their own.
    At { host: String, port: u16 },
}

impl fmt::Display for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared => f.write_str("none"),
            Self::At { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::At { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

impl FromStr for Private {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::Shared);
        }
        let expected = || "expected HOST:PORT, or none".to_owned();
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match (host, port.parse()) {
            ("", _) | (_, Err(_)) => Err(expected()),
            (host, Ok(port)) => Ok(Self::At {
                host: host.to_owned(),
                port,
            }),
        }
    }
}

/// Reads a duration: a number of seconds, or numbers with units, such as `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let days = SpanRelativeTo::days_are_24_hours();
    let parsed = text.parse::<Span>().and_then(|span| span.to_duration(days));
    let positive = parsed
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok());
    positive.ok_or_else(|| "expected seconds, or a duration such as 90s, 10m or 7d".to_owned())
}

/// Reads a size: a number of bytes, or a number with a unit, such as `128 MiB`.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let parsed = text.parse::<ByteSize>().ok();
    let bytes = parsed.and_then(|size| usize::try_from(size.as_u64()).ok());
    bytes.ok_or_else(|| "expected bytes, or a size such as 64 MiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_or_are_seconds() {
        for (text, seconds) in [
            ("0", 0),
            ("300", 300),
            ("90s", 90),
            ("1h 30m", 5_400),
            ("7d", 604_800),
        ] {
            let expected = Duration::from_secs(seconds);
            assert_eq!(duration(text), Ok(expected), "{text}");
        }
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for text in ["", "-1", "-5s", "5 apples", "99999999999999999999", "1mo"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_units_or_are_bytes() {
        for (text, bytes) in [("1024", 1_024), ("128 MiB", 128 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "-1", "many", "1 MiB 2"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn private_listener_has_host_and_port_or_is_none() {
        let at = |host: &str, port| {
            let host = host.to_owned();
            Ok(Private::At { host, port })
        };
        assert_eq!("none".parse(), Ok(Private::Shared));
        assert_eq!("127.0.0.1:8001".parse(), at("127.0.0.1", 8001));
        assert_eq!("[::1]:0".parse(), at("::1", 0));
        for text in ["none", "127.0.0.1:8001", "[::1]:0"] {
            assert_eq!(text.parse::<Private>().unwrap().to_string(), text);
        }
        for text in ["", "8001", ":8001", "localhost:", "localhost:99999"] {
            assert!(text.parse::<Private>().is_err(), "{text}");
        }
    }
}
