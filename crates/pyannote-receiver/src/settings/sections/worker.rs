use std::time::Duration;

use clap::{ArgAction, Args, builder::BoolishValueParser};

use crate::settings::values::duration;

#[derive(Args)]
#[command(next_help_heading = "Handlers")]
pub(crate) struct Worker {
    /// Run handlers over committed events
    #[arg(
        id = "worker.handlers",
        long = "handlers",
        env = "WEBHOOK_SERVER_HANDLERS",
        value_name = "BOOL",
        hide_possible_values = true,
        default_value_t = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::Set
    )]
    handlers: bool,

    /// Commit events without handling them; they wait for a receiver with handlers on the same database
    #[arg(long)]
    no_handlers: bool,

    /// Fetch the output of jobs that were submitted with `webhookStatusOnly`, before the handlers run; needs the API key
    #[arg(
        id = "worker.fetch_output",
        long = "fetch-output",
        env = "WEBHOOK_SERVER_FETCH_OUTPUT",
        value_name = "BOOL",
        hide_possible_values = true,
        default_value_t = false,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::Set
    )]
    pub(crate) fetch_output: bool,

    /// How many events are handled at the same time
    #[arg(
        id = "worker.concurrency",
        long = "concurrency",
        env = "WEBHOOK_SERVER_CONCURRENCY",
        value_name = "COUNT",
        default_value_t = 4
    )]
    pub(crate) concurrency: usize,

    /// The number of attempts after which an event is dead
    #[arg(
        id = "worker.max_attempts",
        long = "max-attempts",
        env = "WEBHOOK_SERVER_MAX_ATTEMPTS",
        value_name = "COUNT",
        default_value_t = 8
    )]
    pub(crate) max_attempts: u32,

    /// The pause after the first failed attempt; each further pause is twice as long
    #[arg(
        id = "worker.backoff_first",
        long = "backoff-first",
        env = "WEBHOOK_SERVER_BACKOFF_FIRST",
        value_name = "DURATION",
        default_value = "5s",
        value_parser = duration
    )]
    pub(crate) backoff_first: Duration,

    /// The longest pause between two attempts
    #[arg(
        id = "worker.backoff_longest",
        long = "backoff-longest",
        env = "WEBHOOK_SERVER_BACKOFF_LONGEST",
        value_name = "DURATION",
        default_value = "1h",
        value_parser = duration
    )]
    pub(crate) backoff_longest: Duration,

    /// How long one handler may take for one event
    #[arg(
        id = "worker.handler_timeout",
        long = "handler-timeout",
        env = "WEBHOOK_SERVER_HANDLER_TIMEOUT",
        value_name = "DURATION",
        default_value = "60s",
        value_parser = duration
    )]
    pub(crate) handler_timeout: Duration,

    /// When other workers take over the events of a worker that has died
    #[arg(
        id = "worker.lease",
        long = "lease",
        env = "WEBHOOK_SERVER_LEASE",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = duration
    )]
    pub(crate) lease: Duration,

    /// How long handled events are kept, and their duplicates recognized
    #[arg(
        id = "worker.retention",
        long = "retention",
        env = "WEBHOOK_SERVER_RETENTION",
        value_name = "DURATION",
        default_value = "7d",
        value_parser = duration
    )]
    pub(crate) retention: Duration,
}

impl Worker {
    pub(crate) fn handlers(&self) -> bool {
        self.handlers && !self.no_handlers
    }
}
