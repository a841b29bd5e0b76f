use clap::Args;

use crate::app::{Fault, Faults, Odds};

/// How often each fault occurs.
#[derive(Args)]
#[command(next_help_heading = "Faults, each at the first N jobs or requests, or at P% by chance")]
pub(crate) struct FaultFlags {
    /// No attempt is ever sent
    #[arg(long, value_name = "N|P%", default_value = "0")]
    lost: Odds,

    /// The first attempt is not sent
    #[arg(long, value_name = "N|P%", default_value = "0")]
    lost_first: Odds,

    /// Every attempt is sent twice at once
    #[arg(long, value_name = "N|P%", default_value = "0")]
    doubled: Odds,

    /// The delivery begins --late-by seconds late
    #[arg(long, value_name = "N|P%", default_value = "0")]
    late: Odds,

    /// The delivery waits until that of a later job is over, or a minute
    #[arg(long, value_name = "N|P%", default_value = "0")]
    reordered: Odds,

    /// The body of the first attempt is altered after it was signed
    #[arg(long, value_name = "N|P%", default_value = "0")]
    tampered: Odds,

    /// The first attempt is signed with another secret
    #[arg(long, value_name = "N|P%", default_value = "0")]
    wrongly_signed: Odds,

    /// The body of the first attempt trickles, a byte a second
    #[arg(long, value_name = "N|P%", default_value = "0")]
    slow_loris: Odds,

    /// The connection of the first attempt breaks in the middle of the body
    #[arg(long, value_name = "N|P%", default_value = "0")]
    cut: Odds,

    /// The job fails
    #[arg(long, value_name = "N|P%", default_value = "0")]
    job_fails: Odds,

    /// The job is canceled
    #[arg(long, value_name = "N|P%", default_value = "0")]
    job_canceled: Odds,

    /// The API answers 429
    #[arg(long, value_name = "N|P%", default_value = "0")]
    api_429: Odds,

    /// The API answers 500, 502 or 503, and does nothing
    #[arg(long, value_name = "N|P%", default_value = "0")]
    api_5xx: Odds,

    /// The API does what it is asked for, and never answers
    #[arg(long, value_name = "N|P%", default_value = "0")]
    api_stalls: Odds,
}

impl FaultFlags {
    /// What was asked for.
    pub(crate) fn faults(&self) -> Faults {
        Faults::default()
            .with(Fault::Lost, self.lost)
            .with(Fault::LostFirst, self.lost_first)
            .with(Fault::Doubled, self.doubled)
            .with(Fault::Late, self.late)
            .with(Fault::Reordered, self.reordered)
            .with(Fault::Tampered, self.tampered)
            .with(Fault::WronglySigned, self.wrongly_signed)
            .with(Fault::SlowLoris, self.slow_loris)
            .with(Fault::Cut, self.cut)
            .with(Fault::JobFails, self.job_fails)
            .with(Fault::JobCanceled, self.job_canceled)
            .with(Fault::Api429, self.api_429)
            .with(Fault::Api5xx, self.api_5xx)
            .with(Fault::ApiStalls, self.api_stalls)
    }
}
