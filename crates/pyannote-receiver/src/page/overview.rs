use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tower_pyannote::layer::ByteBudget;
use tower_pyannote_inbox::metrics as inbox;

use crate::{
    api::{LimitsInForce, ListenerConnections, ReconcilerState, rfc3339},
    connections::Connections,
    metrics,
    settings::Limits,
};

/// The parts of a running receiver that the system page shows.
pub(crate) struct Overview {
    /// Each listener with its name.
    pub(crate) listeners: Vec<(&'static str, Arc<Connections>)>,
    pub(crate) limits: Limits,
    /// The memory for bodies that arrive. `None` without `/webhook`.
    pub(crate) budget: Option<ByteBudget>,
    /// Whether this process runs a reconciler.
    pub(crate) reconciles: bool,
}

impl Overview {
    pub(super) fn connections(&self) -> Vec<ListenerConnections> {
        let listeners = self.listeners.iter();
        let listeners = listeners.map(|(listener, connections)| ListenerConnections {
            listener,
            open: connections.count(),
            most: connections.max(),
        });
        listeners.collect()
    }

    pub(super) fn limits(&self) -> Option<LimitsInForce> {
        let budget = self.budget.as_ref()?;
        Some(LimitsInForce {
            body_bytes: self.limits.body,
            budget_bytes: budget.size(),
            budget_used_bytes: budget.drawn(),
            body_seconds: self.limits.body_timeout.as_secs_f64(),
            tolerance_seconds: self.limits.tolerance.as_secs_f64(),
            per_client: self.limits.per_client,
        })
    }

    /// Returns the state of the reconciler, from the rendered metrics.
    pub(super) fn reconciler(&self, rendered: &str) -> Option<ReconcilerState> {
        let count = |name| metrics::gauge(rendered, name).unwrap_or_default();
        let next = metrics::gauge(rendered, inbox::NEXT_PASS_TIMESTAMP_SECONDS);
        let next = next.and_then(|at| Duration::try_from_secs_f64(at).ok());
        self.reconciles.then(|| ReconcilerState {
            next_pass_at: next.map(|at| rfc3339(SystemTime::UNIX_EPOCH + at)),
            missing_jobs: count(inbox::MISSING_JOBS),
            pending_jobs: count(inbox::PENDING_JOBS),
        })
    }
}
