use std::{collections::BTreeMap, str::FromStr};

use fastrand::Rng;
use serde::Serialize;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// No attempt of the delivery is ever sent.
    Lost,
    /// The first attempt is not sent.
    LostFirst,
    /// Every attempt is sent twice at once.
    Doubled,
    /// The delivery begins late.
    Late,
    /// The delivery waits until that of a later job is over.
    Reordered,
    /// The body of the first attempt is altered after it was signed.
    Tampered,
    /// The first attempt is signed with another secret.
    WronglySigned,
    /// The body of the first attempt trickles until the time is up.
    SlowLoris,
    /// The connection of the first attempt breaks in the middle of the body.
    Cut,
    /// The job fails.
    JobFails,
    /// The job is canceled.
    JobCanceled,
    /// The API answers 429.
    #[serde(rename = "api-429")]
    Api429,
    /// The API answers 500, 502 or 503, and does nothing.
    #[serde(rename = "api-5xx")]
    Api5xx,
    /// The API does what it is asked for, and never answers.
    ApiStalls,
}

impl Fault {
    pub(super) const OF_JOBS: [Self; 11] = [
        Self::Lost,
        Self::LostFirst,
        Self::Doubled,
        Self::Late,
        Self::Reordered,
        Self::Tampered,
        Self::WronglySigned,
        Self::SlowLoris,
        Self::Cut,
        Self::JobFails,
        Self::JobCanceled,
    ];
    pub(super) const OF_THE_API: [Self; 3] = [Self::Api429, Self::Api5xx, Self::ApiStalls];
}

/// How often a fault occurs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Odds {
    #[default]
    Never,
    /// At the first so many jobs or requests that have no other counted fault.
    First(u64),
    /// At as many of a hundred, by chance.
    Percent(f64),
}

impl FromStr for Odds {
    type Err = &'static str;

    fn from_str(odds: &str) -> Result<Self, Self::Err> {
        let percent = |percent: &str| {
            let percent = percent.parse().ok()?;
            (0.0..=100.0)
                .contains(&percent)
                .then_some(Self::Percent(percent))
        };
        let read = match odds.strip_suffix('%') {
            Some(number) => percent(number),
            None => odds.parse().ok().map(Self::First),
        };
        read.ok_or("give a number, as 3 for the first three, or a chance, as 10%")
    }
}

/// Which faults occur, and how often.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(BTreeMap<Fault, Odds>);

impl Faults {
    pub(crate) fn with(mut self, fault: Fault, odds: Odds) -> Self {
        self.0.insert(fault, odds);
        self
    }

    fn odds(&self, fault: Fault) -> Odds {
        self.0.get(&fault).copied().unwrap_or_default()
    }
}

/// Deals the faults to jobs or requests as they come.
#[derive(Debug)]
pub(super) struct Dealer {
    faults: Faults,
    among: &'static [Fault],
    dealt: BTreeMap<Fault, u64>,
}

impl Dealer {
    pub(super) fn new(faults: Faults, among: &'static [Fault]) -> Self {
        Self {
            faults,
            among,
            dealt: BTreeMap::new(),
        }
    }

    /// The faults of the next one; those of chance depend on `rng` alone.
    pub(super) fn deal(&mut self, rng: &mut Rng) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut has_counted = false;
        for &fault in self.among {
            // Drawn for each fault, so that one more does not change the others.
            let drawn = rng.f64() * 100.0;
            let occurs = match self.faults.odds(fault) {
                Odds::Never => false,
                Odds::Percent(percent) => drawn < percent,
                Odds::First(count) => {
                    let dealt = self.dealt.entry(fault).or_default();
                    let occurs = !has_counted && *dealt < count;
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
