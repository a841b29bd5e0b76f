use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::Url;

use crate::address::Address;
use crate::api_key::ApiKey;
use crate::limiter::Limiter;
use crate::shared_clock::SharedClock;
use crate::submission_log::DynSubmissionLog;

/// A client of pyannoteAI's API. See the [crate docs](crate) for its rules and an example.
///
/// Clones are cheap and share connections and the rate limits. The client runs on Tokio with I/O and time enabled.
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) http: reqwest::Client,
    pub(crate) base_url: Url,
    pub(crate) key: ApiKey,
    pub(crate) insecure_http: bool,
    pub(crate) webhook: Option<Address>,
    pub(crate) timeout: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) limiter: Limiter,
    pub(crate) max_retries: usize,
    pub(crate) job_limit: usize,
    pub(crate) log: Option<Arc<dyn DynSubmissionLog>>,
    pub(crate) clock: SharedClock,
}

impl Client {
    /// Returns the current time of the client's clock, [`ClientBuilder::with_clock`](crate::ClientBuilder::with_clock).
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.shared.clock.now()
    }

    /// Waits until a duration has passed on the client's clock, [`ClientBuilder::with_clock`](crate::ClientBuilder::with_clock).
    pub async fn sleep(&self, duration: Duration) {
        self.shared.clock.sleep(duration).await;
    }

    pub(crate) fn url(&self, path: &[&str]) -> Url {
        let mut url = self.shared.base_url.clone();
        // Never an error, because the builder refuses a base URL without a host.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.shared.base_url.as_str())
            .field("key", &self.shared.key)
            .finish_non_exhaustive()
    }
}
