use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, StatusCode, header::RETRY_AFTER};

/// What an answer says about the rate limit, in either form that pyannoteAI documents.
///
/// Newer: a limit for each endpoint, with `X-RateLimit-Limit`, `-Remaining` and `-Reset` on every answer, and a reset in
/// seconds until the window ends. Older: one limit for all endpoints, with a reset in epoch seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RateLimitHeaders {
    /// Whether the status is 429.
    pub(crate) exceeded: bool,
    pub(crate) scope: Scope,
    pub(crate) limit: Option<NonZeroU32>,
    pub(crate) remaining: Option<u32>,
    /// How long the window lasts from now.
    pub(crate) reset: Option<Duration>,
    pub(crate) retry_after: Option<Duration>,
}

/// What a rate limit is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scope {
    #[default]
    Endpoint,
    AllEndpoints,
}

impl RateLimitHeaders {
    pub(crate) fn read(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Self {
        let reset: Option<u64> = number(headers, &RESET);
        // Only the newer form has a relative reset, and has it on every answer.
        let scope = match reset {
            Some(reset) if reset < FIRST_EPOCH_SECOND => Scope::Endpoint,
            _ => Scope::AllEndpoints,
        };
        let reset = reset.and_then(|reset| {
            let reset = Duration::from_secs(reset);
            match scope {
                Scope::Endpoint => Some(reset),
                Scope::AllEndpoints => UNIX_EPOCH.checked_add(reset)?.duration_since(now).ok(),
            }
        });
        let retry_after = number(headers, &RETRY_AFTER).map(Duration::from_secs);
        let above_zero = |duration: &Duration| !duration.is_zero();
        Self {
            exceeded: status == StatusCode::TOO_MANY_REQUESTS,
            scope,
            limit: number(headers, &LIMIT),
            remaining: number(headers, &REMAINING),
            reset: reset.filter(above_zero),
            retry_after: retry_after.filter(above_zero),
        }
    }

    /// Returns how long the API asks the client to send nothing.
    pub(crate) fn pause(&self) -> Option<Duration> {
        if self.exceeded {
            return self.retry_after.or(self.reset);
        }
        let used_up = self.remaining? == 0;
        used_up.then(|| self.reset.unwrap_or(DEFAULT_PAUSE))
    }
}

fn number<N: FromStr>(headers: &HeaderMap, name: &HeaderName) -> Option<N> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// A smaller reset is relative. As an epoch second it would be before September 2001.
const FIRST_EPOCH_SECOND: u64 = 1_000_000_000;
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const DEFAULT_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    type Lines = &'static [(&'static str, &'static str)];

    fn read(status: u16, lines: Lines) -> RateLimitHeaders {
        let lines = lines.iter();
        let headers = lines
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        // 2023-11-14T22:13:20Z.
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        RateLimitHeaders::read(StatusCode::from_u16(status).unwrap(), &headers, now)
    }

    #[test]
    fn a_pause_is_read_from_the_headers_of_the_rate_limit() {
        type Case = (&'static str, u16, Lines, Option<u64>);
        let cases: [Case; 17] = [
            (
                "requests remain",
                200,
                &[("x-ratelimit-remaining", "7")],
                None,
            ),
            ("no headers", 200, &[], None),
            ("used up", 200, &[("x-ratelimit-remaining", "0")], Some(1)),
            (
                "used up, with a reset",
                200,
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1700000030"),
                ],
                Some(30),
            ),
            (
                "used up, with a reset in the past",
                200,
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1699999990"),
                ],
                Some(1),
            ),
            (
                "used up, with a relative reset",
                200,
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "30")],
                Some(30),
            ),
            (
                "used up, with a relative reset of zero",
                200,
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "0")],
                Some(1),
            ),
            ("429", 429, &[], None),
            (
                "429 with Retry-After",
                429,
                &[("retry-after", "12")],
                Some(12),
            ),
            (
                "429 with a reset",
                429,
                &[("x-ratelimit-reset", "1700000009")],
                Some(9),
            ),
            (
                "429 with a relative reset",
                429,
                &[("x-ratelimit-reset", "30")],
                Some(30),
            ),
            (
                "429 with the greatest relative reset",
                429,
                &[("x-ratelimit-reset", "999999999")],
                Some(999_999_999),
            ),
            (
                "429 with the first epoch second, which is past",
                429,
                &[("x-ratelimit-reset", "1000000000")],
                None,
            ),
            (
                "429 with both",
                429,
                &[("retry-after", "3"), ("x-ratelimit-reset", "1700000009")],
                Some(3),
            ),
            (
                "Retry-After is a date",
                429,
                &[("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT")],
                None,
            ),
            (
                "Retry-After is negative",
                429,
                &[("retry-after", "-1")],
                None,
            ),
            (
                "the reset overflows",
                429,
                &[("x-ratelimit-reset", "18446744073709551615")],
                None,
            ),
        ];
        for (name, status, lines, expected) in cases {
            let pause = read(status, lines).pause();
            assert_eq!(pause, expected.map(Duration::from_secs), "{name}");
        }
    }

    #[test]
    fn limit_remaining_and_reset_are_read_from_every_answer() {
        for status in [200, 201, 400, 500] {
            let headers = read(
                status,
                &[
                    ("x-ratelimit-limit", "300"),
                    ("x-ratelimit-remaining", "298"),
                    ("x-ratelimit-reset", "59"),
                ],
            );
            assert_eq!(headers.limit, NonZeroU32::new(300), "{status}");
            assert_eq!(headers.remaining, Some(298), "{status}");
            assert_eq!(headers.reset, Some(Duration::from_secs(59)), "{status}");
        }
    }

    #[test]
    fn only_a_relative_reset_limits_one_endpoint() {
        let scope = |lines| read(200, lines).scope;
        assert_eq!(scope(&[("x-ratelimit-reset", "59")]), Scope::Endpoint);
        assert_eq!(
            scope(&[("x-ratelimit-reset", "1700000059")]),
            Scope::AllEndpoints
        );
        assert_eq!(scope(&[("x-ratelimit-limit", "100")]), Scope::AllEndpoints);
        assert_eq!(scope(&[("retry-after", "7")]), Scope::AllEndpoints);
    }
}
