//! The data that the pages and the JSON interface show.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::response::Response;
use bytes::Bytes;
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
    meeting::{Meeting, NoMeeting},
    query::EventQuery,
    room::{Reserved, held},
};
use crate::api::{Counts, Deliveries, Fact, Rates, System, stamp};

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

    /// Returns an event, and the memory that is reserved for its body.
    pub(super) async fn event(&self, id: &str) -> Result<(WebhookEvent, Reserved), Failed> {
        let details = self.inbox.details(id).await?.ok_or(Failed::NotFound)?;
        let reserved = self.room.reserve(details.entry.bytes).await?;
        let event = self.inbox.event(id).await?.ok_or(Failed::NotFound)?;
        Ok((event, reserved))
    }

    pub(super) async fn meeting(&self, id: &str) -> Result<Arc<Meeting>, NoMeeting> {
        self.meetings.get(&self.inbox, &self.room, id).await
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
        let (event, reserved) = self.event(id).await?;
        let job_id = event.job_id().to_owned();
        let written = task::spawn_blocking(move || {
            let text = write(&event);
            // The next export waits for this one, also if the browser disconnects.
            drop((event, reserved, permit));
            text
        });
        let text = written.await.map_err(|_| broken())?;
        let text = Bytes::from(text.ok_or(Failed::NotFound)?);
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let reserved = self.room.reserve(bytes).await.map_err(Failed::from)?;
        Ok(download(&job_id, extension, kind, held(text, reserved)))
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
        let arrivals = self.arrivals().await;
        let rendered = self.receiver.metrics.render();
        System {
            version: env!("CARGO_PKG_VERSION"),
            started_at: stamp(self.started_at),
            inbox: stats.as_ref().map(Counts::from),
            oldest_waiting_seconds: oldest.map(|age| age.as_secs_f64()),
            rates: Rates {
                last_minute: arrivals.last().copied().unwrap_or_default(),
                last_hour: arrivals.iter().sum(),
            },
            arrivals,
            deliveries: Deliveries {
                accepted: answers.accepted.load(Ordering::Relaxed),
                refused: answers.refused.load(Ordering::Relaxed),
                failed: answers.failed.load(Ordering::Relaxed),
            },
            connections: self.overview.connections(),
            limits: self.overview.limits(),
            reconciler: self.overview.reconciler(&rendered),
            refusals: answers.refusals.list(),
            inbox_health: text(health.inbox),
            storage_health: text(health.storage),
            gauges: crate::metrics::gauges(&rendered),
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
    job_id: &str,
    extension: &str,
    kind: &'static str,
    mut response: Response,
) -> Response {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let name: String = job_id.chars().filter(|&c| plain(c)).take(80).collect();
    let disposition = format!("attachment; filename=\"pyannote-{name}.{extension}\"");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    response
}

const MINUTE: Duration = Duration::from_secs(60);
