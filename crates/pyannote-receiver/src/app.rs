use std::sync::Arc;

use axum::{Router, routing::get};
use tower::ServiceBuilder;
use tower_pyannote::{ConfigError, PyannoteSignatureLayer, SecretSet, layer::ByteBudget};
use tower_pyannote_inbox::Inbox;

use crate::{
    endpoints::{HEALTH, INDEX, LIVE, METRICS, READY, WEBHOOK},
    limits::BESIDE_BUDGET,
    pages,
    settings::Limits,
    state::State,
};

/// Makes the service behind `/webhook`, for the secrets of the moment.
pub(crate) struct Webhook {
    limits: Limits,
    budget: ByteBudget,
    inbox: Inbox,
}

impl Webhook {
    /// # Errors
    ///
    /// Returns an error if the limits do not fit together.
    pub(crate) fn new(limits: &Limits, inbox: Inbox) -> Result<Self, ConfigError> {
        let beside = limits.connections.saturating_mul(BESIDE_BUDGET);
        let budget = ByteBudget::new(limits.memory.saturating_sub(beside))?;
        let webhook = Self {
            limits: limits.clone(),
            budget,
            inbox,
        };
        // Fails as the layer of each later set of secrets would.
        let no_secrets = SecretSet::from_list("whs_unused").expect("a valid secret");
        let _ = webhook.layer(no_secrets)?;
        Ok(webhook)
    }

    pub(crate) const fn budget(&self) -> &ByteBudget {
        &self.budget
    }

    /// Returns the service with these secrets. All such services share one byte budget.
    pub(crate) fn router(&self, secrets: SecretSet, state: &Arc<State>) -> Router {
        let counted = Arc::clone(state);
        let layer = self.layer(secrets).expect("`new` checked the limits");
        let webhook = ServiceBuilder::new()
            .map_response(move |response| {
                counted.answers.count(&response);
                response
            })
            .layer(layer)
            .service(self.inbox.service());
        Router::new().route_service(WEBHOOK, webhook)
    }

    fn layer(&self, secrets: SecretSet) -> Result<PyannoteSignatureLayer, ConfigError> {
        PyannoteSignatureLayer::new(secrets)
            .with_tolerance(self.limits.tolerance)
            .with_byte_budget(self.budget.clone())?
            .with_body_limit(self.limits.body)?
            .with_body_read_timeout(self.limits.body_timeout)
    }
}

/// Returns the pages for the operator, and the probes.
pub(crate) fn pages(state: &Arc<State>) -> Router {
    Router::new()
        .route(INDEX, get(pages::index))
        .route(LIVE, get(pages::live))
        .route(READY, get(pages::ready))
        .route(HEALTH, get(pages::health))
        .route(METRICS, get(pages::metrics))
        .with_state(Arc::clone(state))
}
