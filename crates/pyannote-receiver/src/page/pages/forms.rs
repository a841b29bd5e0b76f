//! The forms of an operator's actions.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State},
    response::Redirect,
};
use http::Uri;
use serde::Deserialize;

use super::{back, event_address};
use crate::page::{
    PageState, actions,
    confirmed::ConfirmedForm,
    error::{Failed, PageFailed},
    query::EventQuery,
};

#[derive(Debug, Deserialize)]
pub(in crate::page) struct ReplayForm {
    all_handlers: Option<String>,
}

pub(in crate::page) async fn replay(
    State(state): State<Arc<PageState>>,
    Path(id): Path<String>,
    sent: ConfirmedForm<ReplayForm>,
) -> Result<Redirect, PageFailed> {
    let all_handlers = sent.form.all_handlers.is_some();
    actions::replay(&state.inbox, &sent.visitor, &id, all_handlers).await?;
    Ok(back(&event_address(&id), "The event is due again."))
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct MarkForm {
    reason: String,
}

pub(in crate::page) async fn mark_handled(
    State(state): State<Arc<PageState>>,
    Path(id): Path<String>,
    sent: ConfirmedForm<MarkForm>,
) -> Result<Redirect, PageFailed> {
    actions::mark_handled(&state.inbox, &sent.visitor, &id, &sent.form.reason).await?;
    Ok(back(&event_address(&id), "The event is marked as handled."))
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct ReplayDeadForm {
    /// The query of the list.
    query: String,
}

pub(in crate::page) async fn replay_dead(
    State(state): State<Arc<PageState>>,
    sent: ConfirmedForm<ReplayDeadForm>,
) -> Result<Redirect, PageFailed> {
    let wrong = |_| Failed::Invalid("query: not the query of a list".to_owned());
    let uri: Uri = format!("/?{}", sent.form.query)
        .parse()
        .map_err(|_| Failed::Invalid("query: not the query of a list".to_owned()))?;
    let Query(query) = Query::<EventQuery>::try_from_uri(&uri).map_err(wrong)?;
    let events = actions::replay_dead(&state.inbox, &sent.visitor, &query).await?;
    let notice = match events {
        1 => "1 dead event is due again.".to_owned(),
        events => format!("{events} dead events are due again."),
    };
    Ok(back(&format!("/page?{}", query.in_state("")), &notice))
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct PruneForm {
    days: String,
}

pub(in crate::page) async fn prune(
    State(state): State<Arc<PageState>>,
    sent: ConfirmedForm<PruneForm>,
) -> Result<Redirect, PageFailed> {
    let days = sent.form.days.trim().parse();
    let days = days.map_err(|_| Failed::Invalid("days: not a whole number".to_owned()))?;
    let events = actions::prune(&state.inbox, &sent.visitor, days).await?;
    Ok(back(
        "/page/system",
        &format!("{events} handled events were removed."),
    ))
}
