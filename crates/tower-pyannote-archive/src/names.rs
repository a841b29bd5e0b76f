use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use object_store::{Attributes, path::Path};
use tower_pyannote::WebhookEvent;

use crate::{
    error::ArchiveError,
    name::{self, EventName},
    objects::Objects,
    telemetry,
};

/// How all deliveries of an event get the same name.
#[derive(Clone)]
pub(crate) enum Names {
    /// By a claim, which the first delivery creates.
    Claimed,
    /// By the inbox, which stores one time of receipt for an event.
    Received {
        /// Whether an earlier archive left claims; empty until that is known.
        has_claims: Arc<OnceLock<bool>>,
    },
}

impl Names {
    pub(crate) fn received() -> Self {
        Self::Received {
            has_claims: Arc::default(),
        }
    }

    /// Returns the name of the event, which is the same for all its deliveries.
    pub(crate) async fn of(
        &self,
        event: &WebhookEvent,
        objects: &Objects,
        prefix: &Path,
    ) -> Result<String, ArchiveError> {
        let claims = prefix.clone().join(CLAIMS);
        let claim = claims.clone().join(name::claim_of(event));
        match self {
            Self::Claimed => claimed(event, objects, &claim).await,
            Self::Received { has_claims } => {
                // One listing of the directory saves a request for each event.
                let has_claims = match has_claims.get() {
                    Some(known) => *known,
                    None => {
                        let found = objects.any_under(&claims).await?;
                        *has_claims.get_or_init(|| found)
                    }
                };
                let claim = match has_claims {
                    true => objects.find(&claim).await?,
                    false => None,
                };
                let theirs = claim.and_then(|claim| name_in(&claim, event));
                Ok(theirs.unwrap_or_else(|| EventName::of(event).to_string()))
            }
        }
    }
}

/// Creates the claim of the event, or follows the one that exists.
async fn claimed(
    event: &WebhookEvent,
    objects: &Objects,
    claim: &Path,
) -> Result<String, ArchiveError> {
    let ours = EventName::of(event).to_string();
    let content = Bytes::from(ours.clone());
    if objects.create(claim, &content, Attributes::new()).await? {
        return Ok(ours);
    }
    let theirs = objects.read(claim).await?;
    if let Some(theirs) = name_in(&theirs, event) {
        return Ok(theirs);
    }
    // The claim was cut off by a loss of power, or changed. An event that is stored twice is better than a lost one.
    telemetry::repaired(claim);
    objects
        .overwrite(claim, &content, Attributes::new())
        .await?;
    Ok(ours)
}

/// Returns the name in a claim if it may be the event's.
fn name_in(claim: &Bytes, event: &WebhookEvent) -> Option<String> {
    let name = std::str::from_utf8(claim).ok()?;
    let is_ours = EventName::of(event).is_of_same_event(name);
    is_ours.then(|| name.to_owned())
}

const CLAIMS: &str = ".claims";
