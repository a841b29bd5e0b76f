use std::time::SystemTime;

use maud::{Markup, html};
use tower_pyannote::event::Source;
use tower_pyannote_inbox::{InboxEntry, InboxStats};

use super::{
    Page,
    layout::{self, Section, action},
    svg,
    text::{ago, number, size},
};
use crate::page::{access::Visitor, query::EventQuery};

/// What the list shows.
pub(in crate::page) struct List<'a> {
    pub(in crate::page) query: &'a EventQuery,
    pub(in crate::page) stats: &'a InboxStats,
    /// Events received in each of the last 60 minutes.
    pub(in crate::page) arrivals: &'a [u64],
    pub(in crate::page) entries: &'a [InboxEntry],
    pub(in crate::page) newer: Option<&'a str>,
    pub(in crate::page) older: Option<&'a str>,
    /// What is wrong with the query.
    pub(in crate::page) wrong: Option<&'a str>,
    pub(in crate::page) now: SystemTime,
}

/// The list of events.
pub(in crate::page) fn events(list: &List<'_>, visitor: &Visitor, notice: &str) -> Page {
    let content = html! {
        h1 { "Events" }
        (filter(list.query))
        @if let Some(wrong) = list.wrong {
            p.problem role="alert" { (wrong) }
        }
        // An open page replaces this part after each change.
        div #live data-live=(if list.query.is_first_page() { "all" } else { "counts" }) {
            (overview(list))
            (table(list))
        }
        @if list.query.state == "dead" && !list.entries.is_empty() {
            (replay(list, visitor))
        }
    };
    layout::page("Events", Section::Events, visitor, notice, &content)
}

fn overview(list: &List<'_>) -> Markup {
    let stats = list.stats;
    let all = stats.waiting + stats.running + stats.handled + stats.dead + stats.unknown;
    let tab = |state: &str, name: &str, count: u64| {
        let current = (list.query.state == state).then_some("true");
        let address = format!("/page?{}", list.query.in_state(state));
        html! {
            a href=(address) aria-current=[current] data-state=(name) data-some[count > 0] {
                span.count { (number(count)) }
                span.name { (name) }
            }
        }
    };
    let hour: u64 = list.arrivals.iter().sum();
    html! {
        div.overview #overview {
            nav.states aria-label="States" {
                (tab("", "all", all))
                (tab("waiting", "waiting", stats.waiting))
                (tab("running", "running", stats.running))
                (tab("handled", "handled", stats.handled))
                (tab("dead", "dead", stats.dead))
                @if stats.unknown > 0 { (tab("unknown", "unknown", stats.unknown)) }
            }
            figure.rate {
                (svg::bars(list.arrivals))
                figcaption { (number(hour)) " received in the last hour" }
            }
        }
    }
}

fn filter(query: &EventQuery) -> Markup {
    let choice = |name: &str, label: &str, value: &str, choices: &[&str]| {
        html! {
            label { span { (label) }
                select name=(name) {
                    option value="" { "any" }
                    @for choice in choices {
                        option value=(choice) selected[*choice == value] { (choice) }
                    }
                    @if !value.is_empty() && !choices.contains(&value) {
                        option value=(value) selected { (value) }
                    }
                }
            }
        }
    };
    let is_open = query.is_filtered();
    html! {
        details.filter open[is_open] {
            summary { "Filter" }
            form method="get" action="/page" {
                input type="hidden" name="state" value=(query.state);
                (choice("kind", "Kind", &query.kind, &["diarization", "identification", "voiceprint", "unknown", "none"]))
                (choice("status", "Job status", &query.status, &["succeeded", "failed", "canceled"]))
                label.wide { span { "Job" } input name="job" value=(query.job) autocomplete="off" spellcheck="false"; }
                label.wide { span { "Reference" } input name="reference" value=(query.reference) autocomplete="off" spellcheck="false"; }
                label { span { "From, UTC" } input type="datetime-local" name="from" value=(query.from); }
                label { span { "To, UTC" } input type="datetime-local" name="to" value=(query.to); }
                div.buttons {
                    button.primary { "Show" }
                    a.button href=(format!("/page?state={}", query.state)) { "Clear" }
                }
            }
        }
    }
}

fn table(list: &List<'_>) -> Markup {
    html! {
        @if list.entries.is_empty() {
            p.empty {
                @if list.query.is_filtered() || !list.query.state.is_empty() || !list.query.is_first_page() {
                    "No event matches."
                } @else {
                    "No event has arrived yet. " code { "pyannote-receiver deliver FILE" } " sends one."
                }
            }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Events" {
                table.events {
                    thead { tr {
                        th scope="col" { "State" }
                        th scope="col" { "Job" }
                        th scope="col" { "Kind" }
                        th scope="col" { "Job status" }
                        th.number scope="col" { "Failed attempts" }
                        th.number scope="col" { "Size" }
                        th scope="col" { "Arrived" }
                        th scope="col" { "Received" }
                    } }
                    tbody {
                        @for entry in list.entries { (row(entry, list.now)) }
                    }
                }
            }
        }
        @if list.newer.is_some() || list.older.is_some() {
            nav.pages aria-label="Pages" {
                @if let Some(newer) = list.newer {
                    a.button rel="prev" href=(format!("/page?{}", list.query.with("after", newer))) { "Newer" }
                }
                @if let Some(older) = list.older {
                    a.button rel="next" href=(format!("/page?{}", list.query.with("before", older))) { "Older" }
                }
            }
        }
    }
}

fn row(entry: &InboxEntry, now: SystemTime) -> Markup {
    html! {
        tr data-id=(entry.id) {
            td { (layout::state(entry.state.as_str())) }
            th.job scope="row" {
                a href=(format!("/page/events/{}", entry.id)) { (entry.job_id) }
                @if entry.conflicts > 0 {
                    " " span.tag.warn title="other bodies were delivered for this job and status" {
                        (entry.conflicts) " conflict" (if entry.conflicts > 1 { "s" } else { "" })
                    }
                }
            }
            td data-label="Kind" { (entry.kind.map_or("none", |kind| kind.as_str())) }
            td data-label="Job status" { (entry.status) }
            td.number data-label="Failed attempts" { (entry.attempts) }
            td.number data-label="Size" { (size(entry.bytes)) }
            td data-label="Arrived" { (arrived(entry)) }
            td data-label="Received" { (ago(entry.received_at, now)) }
        }
    }
}

/// How the event arrived.
pub(super) fn arrived(entry: &InboxEntry) -> Markup {
    let reason = entry.retry.as_ref().and_then(|retry| retry.reason.as_ref());
    html! {
        @match (entry.source, &entry.retry) {
            (Source::Api, _) => "fetched",
            (_, Some(retry)) => {
                "retry " (retry.number)
                @if let Some(reason) = reason { ", " (reason.as_str()) }
            },
            (Source::Webhook, None) => "webhook",
            _ => "unknown",
        }
    }
}

fn replay(list: &List<'_>, visitor: &Visitor) -> Markup {
    let query = list.query.to_text();
    let question = match list.query.is_filtered() {
        true => "Every dead event that matches the filter is due again, with all its attempts.",
        false => "Every dead event is due again, with all its attempts.",
    };
    let fields = html! { input type="hidden" name="query" value=(query); };
    action(
        visitor,
        "Replay all",
        "/page/replay-dead",
        question,
        &fields,
        false,
    )
}
