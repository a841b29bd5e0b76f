//! The operations on single events, and the pruning of old ones.

use std::time::{Duration, SystemTime};

use crate::{
    details::InboxDetails,
    entry::Replay,
    error::{InboxError, InboxErrorKind},
    inbox::Inbox,
    read,
    record::{nanoseconds, storable_error},
    telemetry,
};
use tower_pyannote::WebhookEvent;

impl Inbox {
    /// Returns an event with the results of its handlers and its conflicts, without its body. Returns `None` if no event has
    /// this id.
    ///
    /// # Errors
    ///
    /// Returns an error if the database failed, or did not answer within 10 s.
    pub async fn details(&self, id: &str) -> Result<Option<InboxDetails>, InboxError> {
        let Ok(id) = id.parse() else {
            return Ok(None);
        };
        self.database.ask(|store| store.details(id)).await
    }

    /// Returns how many events were received in each of the last `spans` intervals, the oldest first. Each interval is as long
    /// as `span`, but at least a millisecond. The last interval ends now.
    ///
    /// Events that were pruned are not counted.
    ///
    /// # Errors
    ///
    /// Returns an error if the database failed, or did not answer within 10 s.
    pub async fn arrivals(&self, span: Duration, spans: u16) -> Result<Vec<u64>, InboxError> {
        let span = span.max(Duration::from_millis(1));
        let all = span.checked_mul(u32::from(spans));
        let since = all.and_then(|all| SystemTime::now().checked_sub(all));
        let since = since.map_or(0, nanoseconds);
        let nanos = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        let counted = self
            .database
            .ask(|store| store.arrivals(since, nanos))
            .await?;
        let mut counts = vec![0; usize::from(spans)];
        let last = counts.len().saturating_sub(1);
        for (index, count) in counted {
            // An event that was received since the call began belongs to the last interval.
            let index = usize::try_from(index).unwrap_or_default().min(last);
            if let Some(total) = counts.get_mut(index) {
                *total += u64::try_from(count).unwrap_or_default();
            }
        }
        Ok(counts)
    }

    /// Marks a dead event as handled, with the operator's reason. Returns `false` if no dead event has this id.
    ///
    /// No handler runs. The event is removed after the retention time, and the reason follows its last error.
    ///
    /// # Errors
    ///
    /// Returns an error if the database failed, or did not answer within 10 s.
    pub async fn mark_handled(&self, id: &str, reason: &str) -> Result<bool, InboxError> {
        let Ok(number) = id.parse() else {
            return Ok(false);
        };
        let reason = storable_error("marked as handled", &reason);
        let marked = self
            .database
            .ask(|store| store.mark_handled(number, &reason))
            .await?;
        if marked {
            telemetry::marked_handled(id, &reason);
        }
        Ok(marked)
    }

    /// Returns an event with its body. Returns `None` if no event has this id.
    ///
    /// # Errors
    ///
    /// Returns an error if the database failed or did not answer within 10 s, or if the stored body is not an event. In
    /// the last case the source is the [`EventError`](tower_pyannote::event::EventError).
    pub async fn event(&self, id: &str) -> Result<Option<WebhookEvent>, InboxError> {
        // Ids are numbers, so no event has another id.
        let Ok(id) = id.parse() else {
            return Ok(None);
        };
        let Some(stored) = self.database.ask(|store| store.event(id)).await? else {
            return Ok(None);
        };
        let event = read::event(stored, 1).await;
        event
            .map(Some)
            .map_err(|error| InboxError::because(InboxErrorKind::Store, error))
    }

    /// Makes an event due again, with all its attempts. Returns `false` if no event has this id, or if a worker is
    /// handling it.
    ///
    /// If the event was handled, all handlers run again.
    ///
    /// # Errors
    ///
    /// Returns an error if the database failed, or did not answer within 10 s.
    pub async fn replay(&self, id: &str, replay: Replay) -> Result<bool, InboxError> {
        let Ok(number) = id.parse() else {
            return Ok(false);
        };
        let replayed = self
            .database
            .ask(|store| store.replay(number, replay))
            .await?;
        if replayed {
            telemetry::replayed(id);
            self.wake.notify();
        }
        Ok(replayed)
    }

    /// Deletes the events that were handled longer ago than `age`, and returns their number.
    ///
    /// A worker prunes every hour. Events that wait, run or are dead stay.
    ///
    /// # Errors
    ///
    /// Returns an error if the database failed, or did not answer within 10 s.
    pub async fn prune(&self, age: Duration) -> Result<u64, InboxError> {
        let before = SystemTime::now().checked_sub(age).map_or(0, nanoseconds);
        let mut pruned = 0;
        loop {
            let part = self.database.ask(|store| store.prune(before)).await?;
            if part == 0 {
                return Ok(pruned);
            }
            pruned += part;
        }
    }
}
