//! The pages as HTML.

use std::{sync::Arc, time::SystemTime};

use axum::{
    Extension, Form,
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header::SET_COOKIE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::task;
use zeroize::Zeroizing;

use super::{
    PageState,
    access::Visitor,
    actions,
    confirmed::ConfirmedForm,
    diagnose,
    error::{Failed, PageFailed},
    html::{self, Page},
    json::Part,
    meeting::{NoMeeting, View},
    query::EventQuery,
    read::broken,
};

type Answer = Result<Page, PageFailed>;

/// A note about the last action, shown once.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Notice {
    notice: String,
}

/// Lists events.
pub(super) async fn events(
    State(state): State<Arc<PageState>>,
    Extension(visitor): Extension<Visitor>,
    Query(notice): Query<Notice>,
    Query(query): Query<EventQuery>,
) -> Result<Response, PageFailed> {
    let stats = state.inbox.stats().await?;
    let (listed, wrong) = match state.page(&query).await {
        Ok(listed) => (listed, None),
        Err(Failed::Invalid(wrong)) => (<_>::default(), Some(wrong)),
        Err(failed) => return Err(PageFailed(failed)),
    };
    let (entries, newer, older) = listed;
    let list = html::List {
        query: &query,
        stats: &stats,
        arrivals: &state.arrivals().await,
        entries: &entries,
        newer: newer.as_deref(),
        older: older.as_deref(),
        wrong: wrong.as_deref(),
        now: SystemTime::now(),
    };
    let status = wrong
        .as_ref()
        .map_or(StatusCode::OK, |_| StatusCode::BAD_REQUEST);
    let page = html::events(&list, &visitor, &notice.notice);
    Ok((status, page).into_response())
}

pub(super) async fn to_events() -> Redirect {
    Redirect::to("/page")
}

/// Shows an event.
pub(super) async fn event(
    State(state): State<Arc<PageState>>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    Query(notice): Query<Notice>,
) -> Answer {
    let details = state.inbox.details(&id).await?.ok_or(Failed::NotFound)?;
    let is_large = details.entry.bytes > MOST_SHOWN;
    let (raw, unreadable) = match state.inbox.event(&id).await {
        Ok(Some(event)) => {
            let shown = usize::try_from(MOST_SHOWN).unwrap_or(usize::MAX);
            let raw = event.raw().get(..shown).unwrap_or(event.raw());
            (String::from_utf8_lossy(raw).into_owned(), None)
        }
        Ok(None) => return Err(Failed::NotFound.into()),
        Err(error) => (String::new(), Some(crate::error::in_full(&error))),
    };
    let preview = match state.meetings.get(&state.inbox, &id).await {
        Ok(meeting) => {
            let view = View::new(meeting.duration(), None, None, 600);
            let window = task::spawn_blocking(move || meeting.window(view)).await;
            Some(window.map_err(|_| broken())?)
        }
        Err(NoMeeting::Inbox(_) | NoMeeting::NoEvent | NoMeeting::NoTurns | NoMeeting::Broken) => {
            None
        }
    };
    let shown = html::Shown {
        details: &details,
        raw: &raw,
        is_cut: is_large,
        unreadable: unreadable.as_deref(),
        preview: preview.as_ref(),
        now: SystemTime::now(),
    };
    Ok(html::event(&shown, &visitor, &notice.notice))
}

/// Shows a meeting.
pub(super) async fn meeting(
    State(state): State<Arc<PageState>>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    Query(part): Query<Part>,
) -> Answer {
    let details = state.inbox.details(&id).await?.ok_or(Failed::NotFound)?;
    let meeting = state.meetings.get(&state.inbox, &id).await?;
    let view = View::new(meeting.duration(), part.from, part.to, 1_000);
    let drawn = task::spawn_blocking(move || {
        let window = meeting.window(view);
        let texts = meeting.texts(window.from, window.to, html::MOST_TEXTS);
        (window, texts)
    });
    let (window, texts) = drawn.await.map_err(|_| broken())?;
    Ok(html::meeting(
        &details.entry,
        &window,
        texts.as_deref(),
        &visitor,
    ))
}

/// Draws a part of a meeting, for a page that zooms.
pub(super) async fn timeline(
    State(state): State<Arc<PageState>>,
    Path(id): Path<String>,
    Query(part): Query<Part>,
) -> Answer {
    let meeting = state.meetings.get(&state.inbox, &id).await?;
    let width = part.buckets.unwrap_or(1_000).clamp(200, 4_000);
    let view = View::new(meeting.duration(), part.from, part.to, width);
    let drawn = task::spawn_blocking(move || {
        let window = meeting.window(view);
        let texts = meeting.texts(window.from, window.to, html::MOST_TEXTS);
        html::part(&window, texts.as_deref(), width)
    });
    Ok(drawn.await.map_err(|_| broken())?)
}

#[derive(Debug, Deserialize)]
pub(super) struct ReplayForm {
    all_handlers: Option<String>,
}

pub(super) async fn replay(
    State(state): State<Arc<PageState>>,
    Path(id): Path<String>,
    sent: ConfirmedForm<ReplayForm>,
) -> Result<Redirect, PageFailed> {
    let all_handlers = sent.form.all_handlers.is_some();
    actions::replay(&state.inbox, &sent.visitor, &id, all_handlers).await?;
    Ok(back(&event_address(&id), "The event is due again."))
}

#[derive(Debug, Deserialize)]
pub(super) struct MarkForm {
    reason: String,
}

pub(super) async fn mark_handled(
    State(state): State<Arc<PageState>>,
    Path(id): Path<String>,
    sent: ConfirmedForm<MarkForm>,
) -> Result<Redirect, PageFailed> {
    actions::mark_handled(&state.inbox, &sent.visitor, &id, &sent.form.reason).await?;
    Ok(back(&event_address(&id), "The event is marked as handled."))
}

#[derive(Debug, Deserialize)]
pub(super) struct ReplayDeadForm {
    /// The query of the list.
    query: String,
}

pub(super) async fn replay_dead(
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
pub(super) struct PruneForm {
    days: String,
}

pub(super) async fn prune(
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

pub(super) async fn system(
    State(state): State<Arc<PageState>>,
    Extension(visitor): Extension<Visitor>,
    Query(notice): Query<Notice>,
) -> Page {
    html::system(&state.system().await, &visitor, &notice.notice)
}

pub(super) async fn doctor(Extension(visitor): Extension<Visitor>) -> Page {
    html::doctor(&visitor, "", None)
}

#[derive(Debug, Deserialize)]
pub(super) struct DoctorForm {
    request: String,
}

/// Diagnoses a pasted request.
pub(super) async fn diagnose(
    State(state): State<Arc<PageState>>,
    sent: ConfirmedForm<DoctorForm>,
) -> Answer {
    let request = sent.form.request;
    let secrets = state.settings.doctor_secrets.clone();
    let permit = state.diagnoses.acquire().await;
    let pasted = request.clone();
    let diagnosis = task::spawn_blocking(move || diagnose::text(&pasted, &secrets)).await;
    drop(permit);
    let diagnosis =
        diagnosis.map_err(|_| Failed::Unavailable("the diagnosis failed".to_owned()))?;
    let diagnosis = diagnosis.map_err(Failed::Invalid)?;
    Ok(html::doctor(&sent.visitor, &request, Some(&diagnosis)))
}

pub(super) async fn login(visitor: Option<Extension<Visitor>>) -> Response {
    match visitor {
        Some(_) => Redirect::to("/page").into_response(),
        None => html::login(false).into_response(),
    }
}

#[derive(Deserialize)]
pub(super) struct LoginForm {
    token: String,
}

pub(super) async fn log_in(
    State(state): State<Arc<PageState>>,
    Form(form): Form<LoginForm>,
) -> Response {
    let token = Zeroizing::new(form.token);
    match state.access.log_in(token.trim()).await {
        Some(cookie) => ([(SET_COOKIE, cookie)], Redirect::to("/page")).into_response(),
        None => (StatusCode::UNAUTHORIZED, html::login(true)).into_response(),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Empty {}

pub(super) async fn log_out(
    State(state): State<Arc<PageState>>,
    headers: HeaderMap,
    sent: ConfirmedForm<Empty>,
) -> ([(http::HeaderName, HeaderValue); 1], Redirect) {
    let _ = sent;
    let cookie = state.access.log_out(&headers);
    ([(SET_COOKIE, cookie)], Redirect::to("/page/login"))
}

pub(super) async fn not_found() -> PageFailed {
    PageFailed(Failed::NotFound)
}

fn back(address: &str, notice: &str) -> Redirect {
    let join = if address.contains('?') { '&' } else { '?' };
    let notice = utf8_percent_encode(notice, NON_ALPHANUMERIC);
    Redirect::to(&format!("{address}{join}notice={notice}"))
}

fn event_address(id: &str) -> String {
    format!("/page/events/{}", utf8_percent_encode(id, NON_ALPHANUMERIC))
}

/// The bytes of a body that a page shows.
const MOST_SHOWN: u64 = 64 << 10;
