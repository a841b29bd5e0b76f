//! The actions of an operator. The audit log names the user of each action.

use std::{future::Future, time::Duration};

use tower_pyannote_inbox::{Inbox, InboxError, InboxFilter, InboxState, Replay};

use super::{access::Visitor, error::Failed, query::EventQuery};
use crate::error;

/// Makes an event due again.
pub(super) async fn replay(
    inbox: &Inbox,
    visitor: &Visitor,
    id: &str,
    all_handlers: bool,
) -> Result<(), Failed> {
    let replayed = inbox.replay(id, which(all_handlers)).await?;
    audit(
        visitor,
        "replay",
        || format!("event {id}, all handlers: {all_handlers}"),
        u64::from(replayed),
    );
    match replayed {
        true => Ok(()),
        false => Err(Failed::Conflict(
            "no such event, or a worker handles it now",
        )),
    }
}

/// Makes all dead events due again that the query selects. Returns their number.
pub(super) async fn replay_dead(
    inbox: &Inbox,
    visitor: &Visitor,
    query: &EventQuery,
) -> Result<u64, Failed> {
    let query = EventQuery {
        state: InboxState::Dead.as_str().to_owned(),
        after: String::new(),
        before: String::new(),
        limit: Some(500),
        ..query.clone()
    };
    let filter = query.to_filter().map_err(Failed::Invalid)?;
    let inbox = inbox.clone();
    in_full(visitor, "replay_dead", query.to_text(), async move {
        let mut events = 0;
        let replayed = replay_all(&inbox, filter, &mut events).await;
        (events, replayed)
    })
    .await
}

/// Replays the selected events, and counts them in `events`. The count is right even if a replay fails.
async fn replay_all(
    inbox: &Inbox,
    mut filter: InboxFilter,
    events: &mut u64,
) -> Result<(), InboxError> {
    loop {
        let page = inbox.list(&filter).await?;
        for entry in &page {
            *events += u64::from(inbox.replay(&entry.id, Replay::Unfinished).await?);
        }
        match page.last() {
            // Older events only, so that an event that is dead again is not replayed twice.
            Some(last) => filter = filter.with_before(last.cursor()),
            None => return Ok(()),
        }
    }
}

/// Marks a dead event as handled.
pub(super) async fn mark_handled(
    inbox: &Inbox,
    visitor: &Visitor,
    id: &str,
    reason: &str,
) -> Result<(), Failed> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(Failed::Invalid(
            "reason: say why the event needs no handler".to_owned(),
        ));
    }
    let reason = format!("{reason} ({})", visitor.who);
    let marked = inbox.mark_handled(id, &reason).await?;
    audit(
        visitor,
        "mark_handled",
        || format!("event {id}: {reason}"),
        u64::from(marked),
    );
    match marked {
        true => Ok(()),
        false => Err(Failed::Conflict("no dead event has this id")),
    }
}

/// Removes handled events. Returns their number.
pub(super) async fn prune(inbox: &Inbox, visitor: &Visitor, days: u32) -> Result<u64, Failed> {
    let age = Duration::from_secs(u64::from(days) * 24 * 60 * 60);
    let inbox = inbox.clone();
    let what = format!("handled {days} days ago or earlier");
    in_full(visitor, "prune", what, async move {
        match inbox.prune(age).await {
            Ok(events) => (events, Ok(())),
            Err(error) => (0, Err(error)),
        }
    })
    .await
}

/// Runs an action on many events to its end, even if the browser disconnects. Logs the start, and the end with the number of
/// events.
async fn in_full(
    visitor: &Visitor,
    action: &'static str,
    what: String,
    act: impl Future<Output = (u64, Result<(), InboxError>)> + Send + 'static,
) -> Result<u64, Failed> {
    let visitor = visitor.clone();
    let who = visitor.who.as_str();
    tracing::info!(target: AUDIT, who, action, what, "an operator began an action");
    let acted = tokio::spawn(async move {
        let (events, acted) = act.await;
        match &acted {
            Ok(()) => audit(&visitor, action, || what, events),
            Err(error) => {
                let (who, error) = (visitor.who.as_str(), error::in_full(error));
                tracing::warn!(target: AUDIT, who, action, what, events, error, "an action failed before its end");
            }
        }
        acted.map(|()| events)
    });
    let acted = acted.await;
    let acted = acted.map_err(|_| Failed::Unavailable("the action ended early".to_owned()))?;
    Ok(acted?)
}

const fn which(all_handlers: bool) -> Replay {
    match all_handlers {
        true => Replay::All,
        false => Replay::Unfinished,
    }
}

fn audit(visitor: &Visitor, action: &'static str, what: impl FnOnce() -> String, events: u64) {
    let (who, what) = (visitor.who.as_str(), what());
    tracing::info!(target: AUDIT, who, action, what, events, "an operator acted");
}

const AUDIT: &str = "pyannote_receiver::audit";
