//! Sends changes of the inbox to open pages.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::{sync::watch, time};
use tower_pyannote_inbox::{Inbox, InboxError, InboxFilter};
use utoipa::ToSchema;

use super::PageState;
use crate::api::Counts;

/// Looks at the inbox once a second for all open pages together, and not at all while none is open.
pub(super) struct Live {
    inbox: Inbox,
    changes: watch::Sender<Option<Change>>,
    is_running: AtomicBool,
    stopping: watch::Receiver<()>,
}

/// A change of the inbox, which is sent to open pages.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Change {
    pub(crate) counts: Counts,
    /// The cursor of the newest event.
    pub(crate) newest: Option<String>,
}

impl Live {
    pub(super) fn new(inbox: Inbox, stopping: watch::Receiver<()>) -> Self {
        Self {
            inbox,
            changes: watch::Sender::new(None),
            is_running: AtomicBool::new(false),
            stopping,
        }
    }

    fn subscribe(self: &Arc<Self>) -> watch::Receiver<Option<Change>> {
        let changes = self.changes.subscribe();
        if !self.is_running.swap(true, Ordering::SeqCst) {
            tokio::spawn(Arc::clone(self).look());
        }
        changes
    }

    async fn look(self: Arc<Self>) {
        let mut stopping = self.stopping.clone();
        loop {
            if let Ok(change) = self.now().await {
                self.changes.send_if_modified(|last| {
                    let is_new = last.as_ref() != Some(&change);
                    *last = Some(change);
                    is_new
                });
            }
            let is_stopping = time::timeout(TICK, stopping.changed()).await.is_ok();
            if is_stopping {
                return;
            }
            if self.changes.receiver_count() == 0 {
                self.is_running.store(false, Ordering::SeqCst);
                // A page that was opened just now saw this task running.
                let is_needed = self.changes.receiver_count() > 0;
                if !is_needed || self.is_running.swap(true, Ordering::SeqCst) {
                    return;
                }
            }
        }
    }

    async fn now(&self) -> Result<Change, InboxError> {
        let counts = Counts::from(&self.inbox.stats().await?);
        let newest = self.inbox.list(&InboxFilter::new().with_limit(1)).await?;
        Ok(Change {
            counts,
            newest: newest.first().map(|entry| entry.cursor().to_string()),
        })
    }
}

/// Streams a `change` after each change of the inbox
#[utoipa::path(get, path = "/api/v1/stream", tag = "events", responses((status = 200, description = "server-sent events named `change`, each with a Change as JSON", content_type = "text/event-stream", body = Change)))]
pub(super) async fn stream(
    State(state): State<Arc<PageState>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut changes = state.live.subscribe();
    changes.mark_changed();
    let stopping = state.live.stopping.clone();
    let events = stream::unfold(
        (changes, stopping),
        |(mut changes, mut stopping)| async move {
            loop {
                tokio::select! {
                    _ = stopping.changed() => return None,
                    changed = changes.changed() => changed.ok()?,
                }
                let change = changes.borrow_and_update().clone();
                if let Some(change) = change {
                    let event = Event::default()
                        .event("change")
                        .retry(RETRY)
                        .json_data(change);
                    let event = event.unwrap_or_default();
                    return Some((Ok(event), (changes, stopping)));
                }
            }
        },
    );
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

const TICK: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_secs(1);
const KEEP_ALIVE: Duration = Duration::from_secs(15);
