//! What an operator does. Each action is logged with who did it.

use std::time::Duration;

use tower_pyannote_inbox::{Inbox, InboxState, Replay};

use super::{access::Visitor, error::Failed, query::EventQuery};

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
    let mut filter = query.to_filter().map_err(Failed::Invalid)?;
    let mut events = 0;
    loop {
        let page = inbox.list(&filter).await?;
        for entry in &page {
            events += u64::from(inbox.replay(&entry.id, Replay::Unfinished).await?);
        }
        match page.last() {
            // Older events only, so that an event that is dead again is not replayed twice.
            Some(last) => filter = filter.with_before(last.cursor()),
            None => break,
        }
    }
    audit(visitor, "replay_dead", || query.to_text(), events);
    Ok(events)
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
    let events = inbox.prune(age).await?;
    audit(
        visitor,
        "prune",
        || format!("handled {days} days ago or earlier"),
        events,
    );
    Ok(events)
}

const fn which(all_handlers: bool) -> Replay {
    match all_handlers {
        true => Replay::All,
        false => Replay::Unfinished,
    }
}

fn audit(visitor: &Visitor, action: &'static str, what: impl FnOnce() -> String, events: u64) {
    let (who, what) = (visitor.who.as_str(), what());
    tracing::info!(target: "pyannote_receiver::audit", who, action, what, events, "an operator acted");
}
