use std::time::SystemTime;

use maud::{Markup, html};
use tower_pyannote_inbox::{InboxDetails, InboxState};

use super::{
    Page,
    layout::{self, Section, action},
    list::arrived,
    svg,
    text::{ago, exact, size},
};
use crate::{api::MeetingWindow, page::access::Visitor};

/// What the page of an event shows.
pub(in crate::page) struct Shown<'a> {
    pub(in crate::page) details: &'a InboxDetails,
    /// The beginning of the body.
    pub(in crate::page) raw: &'a str,
    pub(in crate::page) is_cut: bool,
    /// Why the body cannot be read.
    pub(in crate::page) unreadable: Option<&'a str>,
    pub(in crate::page) preview: Option<&'a MeetingWindow>,
    pub(in crate::page) now: SystemTime,
}

/// The page of one event.
pub(in crate::page) fn event(shown: &Shown<'_>, visitor: &Visitor, notice: &str) -> Page {
    let entry = &shown.details.entry;
    let address = format!("/page/events/{}", entry.id);
    let content = html! {
        p.crumbs { a href="/page" { "Events" } " / " (entry.id) }
        div #live data-live="event" data-unsettled=[is_unsettled(entry.state).then_some("")] {
            div.title {
                h1.job { (entry.job_id) }
                (layout::state(entry.state.as_str()))
            }
            (problem(shown))
            (facts(shown))
        }
        (actions(shown, &address, visitor))
        @if let Some(window) = shown.preview {
            section aria-labelledby="meeting" {
                div.heading {
                    h2 #meeting { "Meeting" }
                    a.button href=(format!("{address}/meeting")) { "Open the timeline" }
                }
                a.preview href=(format!("{address}/meeting")) aria-label="Open the timeline" {
                    (svg::preview(window))
                }
            }
        }
        (handlers(shown.details))
        (conflicts(shown))
        (body(shown))
    };
    layout::page(&entry.job_id, Section::Events, visitor, notice, &content)
}

fn is_unsettled(state: InboxState) -> bool {
    matches!(state, InboxState::Waiting | InboxState::Running)
}

fn problem(shown: &Shown<'_>) -> Markup {
    let entry = &shown.details.entry;
    let title = match entry.state {
        InboxState::Dead => "Dead: no further attempt is made until the event is replayed",
        InboxState::Handled => "Note",
        _ => "The last attempt failed",
    };
    html! {
        @if let Some(error) = &entry.last_error {
            div.problem.quiet[entry.state == InboxState::Handled] {
                strong { (title) }
                pre { (error) }
            }
        }
        @if let Some(unreadable) = shown.unreadable {
            div.problem { strong { "The body cannot be read" } pre { (unreadable) } }
        }
    }
}

fn facts(shown: &Shown<'_>) -> Markup {
    let (details, now) = (shown.details, shown.now);
    let entry = &details.entry;
    html! {
        dl.facts {
            div { dt { "Job status" } dd { (entry.status) } }
            div { dt { "Kind" } dd { (entry.kind.map_or("none", |kind| kind.as_str())) } }
            @if let Some(reference) = &entry.reference {
                div { dt { "Reference" } dd { (reference) } }
            }
            @if let Some(metadata) = &entry.metadata {
                div.wide { dt { "Metadata" } dd { code { (metadata.as_str()) } } }
            }
            div { dt { "Received" } dd { (ago(entry.received_at, now)) " " small { (exact(entry.received_at)) } } }
            div { dt { "Arrived as" } dd { (arrived(entry)) } }
            div { dt { "Failed attempts" } dd { (entry.attempts) } }
            @if let Some(next) = entry.next_attempt_at.filter(|_| entry.state == InboxState::Waiting) {
                div { dt { "Next attempt" } dd { (ago(next, now)) } }
            }
            @if let Some(finished) = entry.finished_at {
                div { dt { "Finished" } dd { (ago(finished, now)) } }
            }
            div { dt { "Size" } dd { (size(entry.bytes)) } }
            div { dt { "X-Request-Timestamp" } dd { code { (details.signed_at) } } }
            div.wide { dt { "SHA-256 of the body" } dd { code.digest { (base16ct::lower::encode_string(&details.sha256)) } } }
        }
    }
}

fn actions(shown: &Shown<'_>, address: &str, visitor: &Visitor) -> Markup {
    let entry = &shown.details.entry;
    let all = html! {
        label.check { input type="checkbox" name="all_handlers" value="1"; " Run all handlers, not only those that have not succeeded" }
    };
    let reason = html! {
        label { span { "Reason" } input name="reason" required maxlength="200" autocomplete="off"; }
    };
    let question = match entry.state {
        InboxState::Handled => "The event is handled. All handlers run again.",
        _ => "The event is due again, with all its attempts.",
    };
    html! {
        @if matches!(entry.state, InboxState::Dead | InboxState::Handled | InboxState::Waiting) {
            div.actions {
                (action(visitor, "Replay", &format!("{address}/replay"), question, &all, false))
                @if entry.state == InboxState::Dead {
                    (action(visitor, "Mark as handled", &format!("{address}/mark-handled"),
                        "No handler runs. The event is removed after the retention time.", &reason, true))
                }
            }
        }
    }
}

fn handlers(details: &InboxDetails) -> Markup {
    html! {
        section aria-labelledby="handlers" {
            h2 #handlers { "Handlers" }
            @if details.results.is_empty() {
                p.quiet {
                    @match details.entry.state {
                        InboxState::Handled => "No handler is left to run. Single results are kept only until an event is handled.",
                        _ => "No handler has finished with the event.",
                    }
                }
            } @else {
                table.plain {
                    thead { tr { th scope="col" { "Handler" } th scope="col" { "Result" } } }
                    tbody {
                        @for result in &details.results {
                            tr {
                                th scope="row" { (result.handler) }
                                td {
                                    @match &result.error {
                                        None => span.state.handled { "succeeded" },
                                        Some(error) => { span.state.dead { "failed" } pre { (error) } },
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn conflicts(shown: &Shown<'_>) -> Markup {
    html! {
        @if !shown.details.conflicts.is_empty() {
            section aria-labelledby="conflicts" {
                h2 #conflicts { "Conflicts" }
                p { "Other bodies were delivered for the same job and status. The first body was handled." }
                table.plain {
                    thead { tr { th scope="col" { "SHA-256" } th scope="col" { "Received" } th.number scope="col" { "Size" } } }
                    tbody {
                        @for conflict in &shown.details.conflicts {
                            tr {
                                td { code.digest { (base16ct::lower::encode_string(&conflict.sha256)) } }
                                td { (ago(conflict.received_at, shown.now)) }
                                td.number { (size(conflict.bytes)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn body(shown: &Shown<'_>) -> Markup {
    let entry = &shown.details.entry;
    let address = |name: &str| format!("/api/v1/events/{}/{name}", entry.id);
    html! {
        section aria-labelledby="body" {
            h2 #body { "Body" }
            p.downloads {
                a.button href=(address("body")) download { "JSON" }
                @if let Some(window) = shown.preview {
                    a.button href=(address("rttm")) download { "RTTM" }
                    @if window.words.as_ref().is_none_or(|words| !words.is_empty()) {
                        a.button href=(address("vtt")) download { "WebVTT" }
                        a.button href=(address("srt")) download { "SRT" }
                    }
                }
            }
            details.raw {
                summary { "Show the body" @if shown.is_cut { ", its first 64 kB" } }
                pre tabindex="0" { (shown.raw) @if shown.is_cut { "…" } }
            }
        }
    }
}
