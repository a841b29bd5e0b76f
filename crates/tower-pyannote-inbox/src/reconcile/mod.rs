mod body;
mod fetch;
mod job;
mod list;
mod pass;
mod report;
mod telemetry;
mod unanswered;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, SystemTime},
};

use futures_util::FutureExt;

use self::job::Missing;
pub use self::report::ReconcileReport;
use crate::ConfigError;
use crate::Inbox;
use pyannoteai_client::Client;
use tower_pyannote::event::Text;

/// Brings the events whose webhook never came into an [`Inbox`].
///
/// pyannoteAI gives a delivery up after about six minutes, and deletes the output a day after the job's end. In between
/// it can be asked for. So a pass takes the jobs that were submitted, as [`Inbox::submissions`] records them, and those
/// that the API lists, without those whose event is in the inbox; it fetches what is over, the nearest deadline first,
/// and commits it to the same inbox. There it reaches the same handlers.
///
/// 1. An event is handled once, though its webhook may come at the same time: the inbox takes one of the two.
/// 2. It is the event that the webhook would have brought, without the output where that tells the status only, if the
///    submission was recorded.
/// 3. A job is left to its webhook for [10 minutes](Self::with_grace); one that is still running is asked for again.
/// 4. Every request keeps to the client's rate limit.
/// 5. A job that comes within an hour of the deletion of its output, and is not in the inbox, is warned of.
/// 6. One whose output is gone is *lost*: logged as an error, counted, and not asked for again. Should its webhook come
///    after all, it is handled.
/// 7. A submission with a reference whose answer was lost is logged once, with the jobs that it may have created. See
///    [`Submissions`](crate::Submissions).
/// 8. What fails is logged, counted and tried again: once at once, if other jobs do not fail, and in the next pass.
///
/// On a new inbox the first pass fetches the jobs that the API lists of the last day, even if another program handled them,
/// and ignores jobs whose output is gone. [`without_listing`](Self::without_listing) turns that off.
///
/// # Example
///
/// ```no_run
/// use pyannoteai_client::Client;
/// use tower_pyannote_inbox::{Inbox, Reconciler};
///
/// # async fn run(stop: impl std::future::Future<Output = ()>) -> Result<(), Box<dyn std::error::Error>> {
/// let inbox = Inbox::open("sqlite://data/inbox.sqlite").await?;
/// let client = Client::builder_from_env()?.with_submission_log(inbox.submissions()).build()?;
///
/// let reconciler = Reconciler::new(client.clone(), inbox.clone());
/// reconciler.run_until(stop).await;
/// # Ok(())
/// # }
/// ```
#[must_use = "a reconciler does nothing until it is run"]
pub struct Reconciler {
    client: Client,
    inbox: Inbox,
    interval: Duration,
    grace: Duration,
    listing: bool,
    /// The list need not be read further back than this.
    listed_until: Option<SystemTime>,
    /// The jobs that were to be fetched in the last pass, and that were not.
    left: HashMap<Text, Missing>,
    /// The jobs that were warned of.
    warned: HashSet<Text>,
    /// The unanswered submissions that were logged.
    unanswered: HashSet<Text>,
    /// How often it had to be found out whether the service is down.
    probes: usize,
}

impl Reconciler {
    /// Makes a reconciler that asks by this client, and goes by its clock.
    pub fn new(client: Client, inbox: Inbox) -> Self {
        Self {
            client,
            inbox,
            interval: Duration::from_secs(5 * 60),
            grace: Duration::from_secs(10 * 60),
            listing: true,
            listed_until: None,
            left: HashMap::new(),
            warned: HashSet::new(),
            unanswered: HashSet::new(),
            probes: 0,
        }
    }

    /// Sets the pause between two passes. Default: 5 minutes.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Reconciler`] for zero, and for more than 30 minutes, as a job could then come to its
    /// last hour unseen.
    pub fn with_interval(mut self, interval: Duration) -> Result<Self, ConfigError> {
        if interval.is_zero() || interval > LONGEST_INTERVAL {
            return Err(ConfigError::Reconciler {
                setting: "interval",
                demand: "above zero and at most 30 minutes",
            });
        }
        self.interval = interval;
        Ok(self)
    }

    /// Sets for how long after its submission a job is left to its webhook. Default: 10 minutes, as pyannoteAI repeats a
    /// delivery for about six.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Reconciler`] for more than 12 hours, half of the time that an output is there.
    pub fn with_grace(mut self, grace: Duration) -> Result<Self, ConfigError> {
        if grace > LONGEST_GRACE {
            return Err(ConfigError::Reconciler {
                setting: "grace",
                demand: "at most 12 hours",
            });
        }
        self.grace = grace;
        Ok(self)
    }

    /// Takes the jobs alone whose submission the inbox recorded. Default: also those that the API lists, which are all of
    /// the API key's team.
    pub fn without_listing(mut self) -> Self {
        self.listing = false;
        self
    }

    /// Makes one pass, and tells what it found and did. To drop the future is to break the pass off.
    pub async fn pass(&mut self) -> ReconcileReport {
        pass::run(self).await
    }

    /// Runs a pass at once and after each interval, until `stop` completes.
    ///
    /// One reconciler at a time does so for one inbox: it holds a lease in the inbox's database, and the others wait. After the end
    /// of its process the next one waits for the lease to expire, at most a minute, so that all of them together keep the
    /// client's rate limit, and a process that restarts all the time does too.
    ///
    /// A pass that panics, because a recorder of logs or metrics does, is logged and counted as incomplete.
    pub async fn run_until(mut self, stop: impl Future<Output = ()>) {
        let lease = self.interval.clamp(SHORTEST_LEASE, LONGEST_LEASE);
        let holder = format!("reconciler-{:032x}", fastrand::u128(..));
        let inbox = self.inbox.clone();
        let mut stop = std::pin::pin!(stop);
        loop {
            let is_leased = match inbox.lease_to_reconciler(&holder, lease).await {
                Ok(is_leased) => is_leased,
                Err(error) => {
                    telemetry::failed("take the reconciler's lease", &error);
                    false
                }
            };
            let client = self.client.clone();
            let interval = self.interval;
            let turn = async {
                match is_leased {
                    true => {
                        self.steady_pass().await;
                        telemetry::next_pass(client.now() + interval);
                        client.sleep(interval).await;
                    }
                    false => tokio::time::sleep(lease / 3).await,
                }
            };
            tokio::select! {
                () = turn => {}
                () = lose(&inbox, &holder, lease), if is_leased => telemetry::lease_lost(),
                () = &mut stop => return,
            }
        }
    }

    async fn steady_pass(&mut self) {
        // A pass changes the state for the next pass only at its end, so a panic leaves that state whole.
        let passed = AssertUnwindSafe(self.pass()).catch_unwind().await;
        if passed.is_err() {
            // A recorder that panicked may panic again.
            let _ = catch_unwind(telemetry::panicked);
        }
    }
}

/// Renews a lease until another reconciler has it.
async fn lose(inbox: &Inbox, holder: &str, lease: Duration) {
    loop {
        tokio::time::sleep(lease / 3).await;
        match inbox.lease_to_reconciler(holder, lease).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => telemetry::failed("renew the reconciler's lease", &error),
        }
    }
}

impl fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconciler")
            .field("client", &self.client)
            .field("interval", &self.interval)
            .field("grace", &self.grace)
            .field("listing", &self.listing)
            .finish_non_exhaustive()
    }
}

/// The window of the API's rate limit.
const LONGEST_LEASE: Duration = Duration::from_secs(60);
const SHORTEST_LEASE: Duration = Duration::from_secs(3);

const LONGEST_INTERVAL: Duration = Duration::from_secs(30 * 60);
const LONGEST_GRACE: Duration = Duration::from_secs(12 * 60 * 60);
