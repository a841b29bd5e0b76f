use std::fmt;

/// What is wrong with a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimestampFault {
    /// There is no `X-Request-Timestamp`.
    Missing,
    /// There is no `X-Request-Timestamp`, and a header of another name holds a time.
    Renamed,
    /// There are several `X-Request-Timestamp`.
    #[non_exhaustive]
    Repeated {
        /// How many there are.
        count: usize,
    },
    /// White space is around it.
    Padded,
    /// Quotes are around it.
    Quoted,
    /// Several values were joined into one.
    Joined,
    /// It is a date.
    Date,
    /// It has a fraction.
    Fraction,
    /// It has a sign.
    Sign,
    /// It is in milliseconds.
    Milliseconds,
    /// It is in microseconds.
    Microseconds,
    /// It is in nanoseconds.
    Nanoseconds,
    /// It is empty.
    Empty,
    /// It is nothing that could be a time.
    #[non_exhaustive]
    Malformed {
        /// How many bytes it has.
        length: usize,
    },
    /// It is older than the tolerance allows.
    #[non_exhaustive]
    Stale {
        /// How many seconds older than now.
        seconds: u64,
        /// How many whole hours that is, up to 14, if it is a zone's offset give or take ten minutes.
        hours: Option<u64>,
    },
    /// It is newer than the tolerance allows.
    #[non_exhaustive]
    Future {
        /// How many seconds newer than now.
        seconds: u64,
        /// How many whole hours that is, up to 14, if it is a zone's offset give or take ten minutes.
        hours: Option<u64>,
    },
    /// Another one was signed.
    #[non_exhaustive]
    Altered {
        /// How many seconds later the signed one is than the one sent, or than now if none was.
        seconds: i64,
    },
}

impl TimestampFault {
    /// A word for it in snake case, which does not change.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "timestamp_missing",
            Self::Renamed => "timestamp_renamed",
            Self::Repeated { .. } => "timestamp_repeated",
            Self::Padded => "timestamp_padded",
            Self::Quoted => "timestamp_quoted",
            Self::Joined => "timestamp_joined",
            Self::Date => "timestamp_date",
            Self::Fraction => "timestamp_fraction",
            Self::Sign => "timestamp_sign",
            Self::Milliseconds => "timestamp_milliseconds",
            Self::Microseconds => "timestamp_microseconds",
            Self::Nanoseconds => "timestamp_nanoseconds",
            Self::Empty => "timestamp_empty",
            Self::Malformed { .. } => "timestamp_malformed",
            Self::Stale { .. } => "timestamp_stale",
            Self::Future { .. } => "timestamp_future",
            Self::Altered { .. } => "timestamp_altered",
        }
    }
}

impl fmt::Display for TimestampFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match *self {
            Self::Stale { seconds, hours } => return skew(seconds, hours, "older", f),
            Self::Future { seconds, hours } => return skew(seconds, hours, "newer", f),
            Self::Altered { seconds } => {
                let side = if seconds < 0 { "earlier" } else { "later" };
                let seconds = seconds.unsigned_abs();
                return write!(
                    f,
                    "the timestamp that was signed is {seconds} s {side}: find who sets or replaces x-request-timestamp"
                );
            }
            Self::Repeated { count } => {
                return write!(
                    f,
                    "there are {count} x-request-timestamp headers: let one reach the receiver"
                );
            }
            Self::Malformed { length } => {
                return write!(
                    f,
                    "the x-request-timestamp header has {length} bytes that are no Unix seconds: see what the proxy makes of it"
                );
            }
            Self::Missing => {
                return f.write_str(
                    "there is no x-request-timestamp header: see that the proxy forwards it",
                );
            }
            Self::Renamed => {
                return f.write_str(
                    "there is no x-request-timestamp header, but one of another name holds a time: let the proxy keep the name",
                );
            }
            Self::Padded => "white space around it",
            Self::Quoted => "quotes around it",
            Self::Joined => "several values in one",
            Self::Date => "a date",
            Self::Fraction => "a fraction",
            Self::Sign => "a sign before it",
            Self::Milliseconds => "milliseconds",
            Self::Microseconds => "microseconds",
            Self::Nanoseconds => "nanoseconds",
            Self::Empty => "nothing in it",
        };
        write!(
            f,
            "the x-request-timestamp header has {unit}: send Unix seconds, and digits alone"
        )
    }
}

fn skew(seconds: u64, hours: Option<u64>, side: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "the timestamp is {seconds} s {side} than now, over the tolerance: "
    )?;
    match hours {
        Some(hours) => write!(f, "that is {hours} h, so one side takes local time for UTC"),
        None => f.write_str("set the clocks, or send a fresh delivery if this one was kept"),
    }
}
