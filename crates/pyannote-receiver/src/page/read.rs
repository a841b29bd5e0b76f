//! What pages and the JSON interface read.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::response::{IntoResponse, Response};
use http::{
    HeaderValue,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE},
};
use tokio::task;
use tower_pyannote::WebhookEvent;
use tower_pyannote_inbox::InboxEntry;

use super::{
    PageState,
    error::{ApiFailed, Failed},
    query::EventQuery,
};
use crate::api::{Counts, Deliveries, Fact, System, stamp};

impl PageState {
    /// Returns a page of the list, and the cursors of the next newer and the next older page.
    pub(super) async fn page(
        &self,
        query: &EventQuery,
    ) -> Result<(Vec<InboxEntry>, Option<String>, Option<String>), Failed> {
        let filter = query.to_filter().map_err(Failed::Invalid)?;
        // One more event shows whether there is a next page.
        let filter = filter.with_limit(query.size() + 1);
        let mut entries = self.inbox.list(&filter).await?;
        let size = usize::try_from(query.size()).unwrap_or(usize::MAX);
        let has_more = entries.len() > size;
        let goes_newer = !query.after.is_empty() && query.before.is_empty();
        if has_more && goes_newer {
            entries.remove(0);
        }
        entries.truncate(size);
        let has_newer = if goes_newer {
            has_more
        } else {
            !query.before.is_empty()
        };
        let has_older = goes_newer || has_more;
        let newer = entries.first().filter(|_| has_newer);
        let older = entries.last().filter(|_| has_older);
        let cursor = |entry: &InboxEntry| entry.cursor().to_string();
        let (newer, older) = (newer.map(cursor), older.map(cursor));
        Ok((entries, newer, older))
    }

    pub(super) async fn event(&self, id: &str) -> Result<WebhookEvent, Failed> {
        self.inbox.event(id).await?.ok_or(Failed::NotFound)
    }

    /// Returns a download that `write` makes of the event, off the async threads.
    pub(super) async fn export(
        &self,
        id: &str,
        extension: &'static str,
        kind: &'static str,
        write: impl FnOnce(&WebhookEvent) -> Option<String> + Send + 'static,
    ) -> Result<Response, ApiFailed> {
        let permit = Arc::clone(&self.exports).acquire_owned().await;
        let event = self.event(id).await?;
        let written = task::spawn_blocking(move || {
            let text = write(&event);
            // Not before, even if nobody waits for the text any more.
            drop(permit);
            text.map(|text| download(&event, extension, kind, text))
        });
        let written = written.await.map_err(|_| broken())?;
        Ok(written.ok_or(Failed::NotFound)?)
    }

    /// Returns the events received in each of the last 60 minutes.
    pub(super) async fn arrivals(&self) -> Vec<u64> {
        let inbox = self.inbox.clone();
        let counted = self
            .arrivals
            .get(|took| (took * 10).clamp(MINUTE / 60, MINUTE), async move {
                inbox.arrivals(MINUTE, 60).await.unwrap_or_default()
            });
        counted.await.unwrap_or_default()
    }

    pub(super) async fn system(&self) -> System {
        let stats = self.receiver.inbox.get().await.map(|(_, stats)| stats);
        let health = self.receiver.health.check().await;
        let answers = &self.receiver.answers;
        let text =
            |result: Result<(), String>| result.map_or_else(|error| error, |()| "ok".to_owned());
        let oldest = stats.as_ref().and_then(|stats| stats.oldest_waiting);
        let settings = self.settings.facts.iter();
        System {
            version: env!("CARGO_PKG_VERSION"),
            started_at: stamp(self.started_at),
            inbox: stats.as_ref().map(Counts::from),
            oldest_waiting_seconds: oldest.map(|age| age.as_secs_f64()),
            arrivals: self.arrivals().await,
            deliveries: Deliveries {
                accepted: answers.accepted.load(Ordering::Relaxed),
                refused: answers.refused.load(Ordering::Relaxed),
                failed: answers.failed.load(Ordering::Relaxed),
            },
            refusals: answers.refusals(),
            inbox_health: text(health.inbox),
            storage_health: text(health.storage),
            gauges: crate::metrics::gauges(&self.receiver.metrics.render()),
            settings: settings
                .map(|(name, value)| Fact {
                    name: name.clone(),
                    value: value.clone(),
                })
                .collect(),
        }
    }
}

pub(super) fn broken() -> Failed {
    Failed::Unavailable("the output cannot be read".to_owned())
}

/// Returns a file for a browser to save, named after the job.
pub(super) fn download(
    event: &WebhookEvent,
    extension: &str,
    kind: &'static str,
    content: impl IntoResponse,
) -> Response {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let name: String = event
        .job_id()
        .chars()
        .filter(|&c| plain(c))
        .take(80)
        .collect();
    let disposition = format!("attachment; filename=\"pyannote-{name}.{extension}\"");
    let mut response = content.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    response
}

const MINUTE: Duration = Duration::from_secs(60);
