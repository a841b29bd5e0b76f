use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

/// How the API counts requests for its rate limit, and how answers report it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RateLimitStyle {
    /// Counts each endpoint by itself, in fixed windows of a minute.
    ///
    /// Every answer has `X-RateLimit-Limit`, `-Remaining` and `-Reset`, in seconds until the window ends. Both media
    /// endpoints share a window, and so do reads of a job and of the list.
    #[default]
    PerEndpoint,
    /// Counts all endpoints together, in a sliding window of a minute: pyannoteAI's older form.
    ///
    /// `X-RateLimit-Reset` is in epoch seconds, and only on answers with 429.
    Shared,
}

/// How many requests a minute are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RateLimit {
    /// 100, and 300 for reads of jobs if each endpoint counts by itself.
    Documented,
    PerMinute(u32),
    Off,
}

/// The rate limits of all endpoints.
#[derive(Debug)]
pub(crate) struct Limits {
    style: RateLimitStyle,
    limit: RateLimit,
    minute: Duration,
    windows: BTreeMap<&'static str, Window>,
}

/// The answer of a rate limit to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    pub(crate) accepted: bool,
    /// The time until the window ends, or until a sliding window accepts the next request.
    pub(crate) reset: Duration,
}

impl Limits {
    pub(crate) fn new(style: RateLimitStyle, limit: RateLimit, minute: Duration) -> Self {
        Self {
            style,
            limit,
            minute,
            windows: BTreeMap::new(),
        }
    }

    /// Counts a request to a path. Returns `None` if there is no limit.
    pub(crate) fn take(&mut self, path: &str, now: Instant) -> Option<Turn> {
        let endpoint = match self.style {
            RateLimitStyle::PerEndpoint => endpoint(path),
            RateLimitStyle::Shared => "all",
        };
        let limit = match self.limit {
            RateLimit::Documented if endpoint == JOBS => 300,
            RateLimit::Documented => 100,
            RateLimit::PerMinute(limit) => limit,
            RateLimit::Off => return None,
        };
        let window = self
            .windows
            .entry(endpoint)
            .or_insert_with(|| Window::new(self.style, now));
        Some(window.take(limit, self.minute, now))
    }
}

#[derive(Debug)]
enum Window {
    Fixed { begun: Instant, taken: u32 },
    Sliding { taken: VecDeque<Instant> },
}

impl Window {
    fn new(style: RateLimitStyle, now: Instant) -> Self {
        match style {
            RateLimitStyle::PerEndpoint => Self::Fixed {
                begun: now,
                taken: 0,
            },
            RateLimitStyle::Shared => Self::Sliding {
                taken: VecDeque::new(),
            },
        }
    }

    fn take(&mut self, limit: u32, minute: Duration, now: Instant) -> Turn {
        match self {
            Self::Fixed { begun, taken } => {
                if now.duration_since(*begun) >= minute {
                    (*begun, *taken) = (now, 0);
                }
                let accepted = *taken < limit;
                *taken += u32::from(accepted);
                Turn {
                    limit,
                    remaining: limit - *taken,
                    accepted,
                    reset: minute - now.duration_since(*begun),
                }
            }
            Self::Sliding { taken } => {
                while taken
                    .front()
                    .is_some_and(|&oldest| now.duration_since(oldest) >= minute)
                {
                    taken.pop_front();
                }
                let count = u32::try_from(taken.len()).unwrap_or(u32::MAX);
                let accepted = count < limit;
                if accepted {
                    taken.push_back(now);
                }
                let oldest = taken.front().copied().unwrap_or(now);
                Turn {
                    limit,
                    remaining: limit.saturating_sub(count + u32::from(accepted)),
                    accepted,
                    reset: minute.saturating_sub(now.duration_since(oldest)),
                }
            }
        }
    }
}

fn endpoint(path: &str) -> &'static str {
    match path {
        "/v1/diarize" => "diarize",
        "/v1/identify" => "identify",
        "/v1/voiceprint" => "voiceprint",
        "/v1/media/input" | "/v1/media/output" => "media",
        "/v1/test" => "test",
        _ => JOBS,
    }
}

const JOBS: &str = "jobs";
