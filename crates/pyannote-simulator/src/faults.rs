use std::{collections::BTreeMap, fmt, str::FromStr};

use fastrand::Rng;

use crate::error::SimulatorError;

/// Defines the faults from one table, because the program's `--help` repeats their documentation.
macro_rules! faults {
    ($(#[doc = $description:literal] $fault:ident => $name:literal,)*) => {
        /// A fault of a job, of its delivery, or of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Fault {
            $(#[doc = $description] $fault,)*
        }

        impl Fault {
            /// All faults, with their descriptions.
            pub(crate) const ALL: &[(Self, &str)] = &[$((Self::$fault, $description),)*];

            /// Returns the name of the fault, as `GET /simulator/jobs` and the flags of the program write it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$fault => $name,)*
                }
            }
        }
    };
}

faults! {
    /// No attempt of the delivery is sent.
    Lost => "lost",
    /// The first attempt is not sent.
    LostFirst => "lost-first",
    /// Every attempt is sent twice at once.
    Doubled => "doubled",
    /// The delivery begins late.
    Late => "late",
    /// The delivery waits until the delivery of a later job is over, at most a minute.
    Reordered => "reordered",
    /// The body of the first attempt is changed after it was signed.
    Tampered => "tampered",
    /// The first attempt is signed with another secret.
    WronglySigned => "wrongly-signed",
    /// The body of the first attempt arrives at a byte a second.
    SlowLoris => "slow-loris",
    /// The connection of the first attempt breaks in the middle of the body.
    Cut => "cut",
    /// The job fails.
    JobFails => "job-fails",
    /// The job is canceled.
    JobCanceled => "job-canceled",
    /// The submission is answered when the delivery is over, at most 30 s later in real time.
    WebhookFirst => "webhook-first",
    /// The API answers 429.
    Api429 => "api-429",
    /// The API answers 500, 502 or 503, and does nothing.
    Api5xx => "api-5xx",
    /// The API does what the request asks for, and never answers.
    ApiStalls => "api-stalls",
    /// The API does what the request asks for, and breaks the connection instead of answering.
    ApiDrops => "api-drops",
}

impl Fault {
    fn is_of_the_api(self) -> bool {
        matches!(
            self,
            Self::Api429 | Self::Api5xx | Self::ApiStalls | Self::ApiDrops
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How often a fault occurs.
///
/// Parses from a count, such as `3`, or a percentage, such as `10%`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Odds {
    /// The fault never occurs.
    #[default]
    Never,
    /// The fault occurs for the first jobs or requests, as many as given. A job or request has at most one counted fault.
    First(u64),
    /// The fault occurs at random, for this percentage of jobs or requests.
    Percent(f64),
}

impl FromStr for Odds {
    type Err = SimulatorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let odds = match text.strip_suffix('%') {
            Some(percent) => percent
                .parse()
                .ok()
                .filter(|percent| (0.0..=100.0).contains(percent))
                .map(Self::Percent),
            None => text.parse().ok().map(Self::First),
        };
        odds.ok_or(SimulatorError::Odds)
    }
}

/// The faults that occur, and how often.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Faults(BTreeMap<Fault, Odds>);

impl Faults {
    /// Sets how often a fault occurs. Default: never.
    pub fn with(mut self, fault: Fault, odds: Odds) -> Self {
        self.0.insert(fault, odds);
        self
    }
}

/// Decides which faults a job or a request has.
#[derive(Debug)]
pub(crate) struct Dealer {
    faults: Faults,
    of_the_api: bool,
    dealt: BTreeMap<Fault, u64>,
}

impl Dealer {
    pub(crate) fn of_jobs(faults: Faults) -> Self {
        Self {
            faults,
            of_the_api: false,
            dealt: BTreeMap::new(),
        }
    }

    pub(crate) fn of_the_api(faults: Faults) -> Self {
        Self {
            of_the_api: true,
            ..Self::of_jobs(faults)
        }
    }

    /// Returns the faults of the next job or request. Random faults depend on `rng` alone.
    pub(crate) fn deal(&mut self, rng: &mut Rng) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut has_counted = false;
        let all = Fault::ALL.iter().map(|(fault, _)| *fault);
        for fault in all.filter(|fault| fault.is_of_the_api() == self.of_the_api) {
            // Draw for every fault, so that the odds of one do not change when the others occur.
            let drawn = rng.f64() * 100.0;
            let occurs = match self.faults.0.get(&fault) {
                None | Some(Odds::Never) => false,
                Some(Odds::Percent(percent)) => drawn < *percent,
                Some(Odds::First(count)) => {
                    let dealt = self.dealt.entry(fault).or_default();
                    let occurs = !has_counted && *dealt < *count;
                    *dealt += u64::from(occurs);
                    has_counted |= occurs;
                    occurs
                }
            };
            if occurs {
                faults.push(fault);
            }
        }
        faults
    }
}
