use std::num::NonZeroU32;
use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::gate::{Gate, MIN_SLEEP};
use crate::rate_limit_headers::{RateLimitHeaders, Scope};
use crate::shared_clock::SharedClock;
use crate::telemetry;

/// Delays requests by the rate limit of their endpoint, and by that of all endpoints if the API has one.
#[derive(Debug)]
pub(crate) struct Limiter {
    diarize: Gate,
    identify: Gate,
    voiceprint: Gate,
    media: Gate,
    jobs: Gate,
    test: Gate,
    /// Open until an answer shows that one limit is for all endpoints.
    all: Gate,
    clock: SharedClock,
}

/// The client's own rate limit.
#[derive(Clone, Copy)]
pub(crate) enum RateLimit {
    /// pyannoteAI's documented limits.
    Documented,
    /// This number of requests a minute to each group of endpoints.
    PerMinute(NonZeroU32),
    /// None, so that only the API delays requests.
    Off,
}

impl Limiter {
    pub(crate) fn new(limit: RateLimit, clock: SharedClock) -> Self {
        let most = |documented| match limit {
            RateLimit::Documented => NonZeroU32::new(documented),
            RateLimit::PerMinute(limit) => Some(limit),
            RateLimit::Off => None,
        };
        let gate = |documented| Gate::new(most(documented), clock.clone());
        Self {
            diarize: gate(LIMIT),
            identify: gate(LIMIT),
            voiceprint: gate(LIMIT),
            media: gate(LIMIT),
            jobs: gate(LIMIT_OF_JOBS),
            test: gate(LIMIT),
            all: Gate::open(most(LIMIT), clock.clone()),
            clock,
        }
    }

    /// Waits until a request to the endpoint may be sent, and counts the request.
    pub(crate) async fn ready(&self, endpoint: Endpoint) {
        let called_at = self.clock.elapsed();
        // Hold the first place until the second gate opens. Else requests would gather there and leave in one burst.
        let own = self.gate(endpoint).pass().await;
        let all = self.all.pass().await;
        let waited = self.clock.elapsed().saturating_sub(called_at);
        // A short contention for the queue is no wait.
        if (own.delayed || all.delayed) && waited >= MIN_SLEEP {
            telemetry::waited_for_rate_limit(waited);
        }
    }

    /// Follows what an answer of the endpoint says about the rate limit.
    pub(crate) fn observe(&self, endpoint: Endpoint, headers: &RateLimitHeaders) {
        match headers.scope {
            Scope::Endpoint => self.gate(endpoint).observe(headers),
            Scope::AllEndpoints => {
                if headers.reset.is_some() && headers.limit.is_none() {
                    self.all.limit_to(NonZeroU32::MAX);
                }
                self.all.observe(headers);
            }
        }
    }

    /// Delays all requests for a duration of at most 2 minutes.
    pub(crate) fn pause(&self, duration: Duration) {
        self.all.pause(duration);
    }

    fn gate(&self, endpoint: Endpoint) -> &Gate {
        match endpoint {
            Endpoint::Diarize => &self.diarize,
            Endpoint::Identify => &self.identify,
            Endpoint::Voiceprint => &self.voiceprint,
            Endpoint::Media => &self.media,
            Endpoint::Jobs => &self.jobs,
            Endpoint::Test => &self.test,
        }
    }
}

/// The documented requests a minute to each group of endpoints.
const LIMIT: u32 = 100;
const LIMIT_OF_JOBS: u32 = 300;
