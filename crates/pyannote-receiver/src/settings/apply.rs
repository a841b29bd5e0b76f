//! Turns settings into the parts of a receiver, and their errors into failures that name the flag.

use std::{fmt::Display, io};

use pyannote_cli::Failure;
use tower_pyannote::layer::ByteBudget;
use tower_pyannote_inbox::ConfigError as WorkerError;

use super::{Limits, Listen, Private, Worker};
use crate::{limits::BESIDE_BUDGET, server::Server};

impl Worker {
    /// Sets up the worker of a receiver.
    pub(crate) fn apply(&self, server: Server) -> Result<Server, Failure> {
        let of = |flag| move |error: WorkerError| Failure::usage(format!("{flag}: {error}"));
        let (concurrency, attempts) = (self.concurrency, self.max_attempts);
        let (first, longest) = (self.backoff_first, self.backoff_longest);
        let (lease, retention) = (self.lease, self.retention);
        server
            .with_worker(move |worker| worker.with_concurrency(concurrency))
            .map_err(of("--concurrency"))?
            .with_worker(move |worker| worker.with_max_attempts(attempts))
            .map_err(of("--max-attempts"))?
            .with_worker(move |worker| worker.with_backoff(first, longest))
            .map_err(of("--backoff-first, --backoff-longest"))?
            .with_worker(move |worker| worker.with_lease(lease))
            .map_err(of("--lease"))?
            .with_worker(move |worker| worker.with_retention(retention))
            .map_err(of("--retention"))
    }
}

impl Limits {
    /// Checks that the limits fit together.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.body_timeout.is_zero() {
            return Err(Failure::usage(
                "--body-timeout: the timeout is zero; give a time above zero",
            ));
        }
        let beside = self.connections.saturating_mul(BESIDE_BUDGET);
        let budget = ByteBudget::new(self.memory.saturating_sub(beside));
        match budget {
            Ok(budget) if budget.size() >= self.body && self.body > 0 => Ok(()),
            _ => Err(self.invalid("they do not fit together")),
        }
    }

    /// Returns the failure for limits that the layer refuses.
    pub(crate) fn invalid(&self, error: impl Display) -> Failure {
        let least = self
            .body
            .saturating_add(self.connections.saturating_mul(BESIDE_BUDGET))
            .div_ceil(1 << 20);
        Failure::usage(format!(
            "--body-limit, --body-memory, --max-connections: {error}; --body-limit has to be above zero, and \
             --body-memory has to be from {least} MiB to 4 GiB, for one body and 192 KiB for each connection"
        ))
    }
}

impl Listen {
    pub(crate) fn cannot_listen(&self, error: &io::Error) -> Failure {
        let (host, port) = (&self.host, self.port);
        Failure::run(format!(
            "--host {host}, --port {port} (or WEBHOOK_SERVER_HOST, WEBHOOK_SERVER_PORT): cannot listen there: {error}"
        ))
    }
}

impl Private {
    pub(crate) fn cannot_listen(&self, error: &io::Error) -> Failure {
        Failure::run(format!(
            "--private-listen {self} (or WEBHOOK_SERVER_PRIVATE_LISTEN): cannot listen there: {error}; `none` serves \
             the pages on the public address"
        ))
    }
}
