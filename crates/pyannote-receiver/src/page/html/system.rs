use std::time::Duration;

use maud::{Markup, html};

use super::{
    Page,
    layout::{self, Section, action},
    svg,
    text::{number, size, span},
};
use crate::{
    api::{Fact, System},
    page::access::Visitor,
};

/// The page about the receiver itself.
pub(in crate::page) fn system(system: &System, visitor: &Visitor, notice: &str) -> Page {
    let days = html! {
        label { span { "Days since the event was handled" }
            input type="number" name="days" value="7" min="0" max="3650" required;
        }
    };
    let health = |name: &str, health: &str| {
        html! {
            div { dt { (name) } dd {
                @if health == "ok" { span.state.handled { "ok" } }
                @else { span.state.dead { "failing" } " " (health) }
            } }
        }
    };
    let oldest = system.oldest_waiting_seconds.map(Duration::from_secs_f64);
    let content = html! {
        h1 { "System" }
        div #live data-live="system" {
            dl.facts {
                div { dt { "Version" } dd { (system.version) } }
                div { dt { "Started" } dd { (utc(&system.started_at)) } }
                (health("Inbox", &system.inbox_health))
                (health("Storage", &system.storage_health))
                @if let Some(oldest) = oldest {
                    div { dt { "Oldest event that waits" } dd { (span(oldest)) } }
                }
            }
            section aria-labelledby="deliveries" {
                h2 #deliveries { "Deliveries since the start" }
                dl.facts {
                    div { dt { "Accepted" } dd { (number(system.deliveries.accepted)) } }
                    div { dt { "Refused" } dd { (number(system.deliveries.refused)) } }
                    div { dt { "Failed to commit" } dd { (number(system.deliveries.failed)) } }
                    div { dt { "Received in the last minute" } dd { (number(system.rates.last_minute)) } }
                    div { dt { "Received in the last hour" } dd { (number(system.rates.last_hour)) } }
                }
                figure.rate.large { (svg::bars(&system.arrivals)) figcaption { "Received in each of the last 60 minutes" } }
            }
            (resources(system))
            (reconciler(system))
            (refusals(system))
            (facts("figures", "Figures", &system.gauges))
            (facts("settings", "Settings in force", &system.settings))
        }
        section aria-labelledby="housekeeping" {
            h2 #housekeeping { "Housekeeping" }
            (action(visitor, "Prune", "/page/prune",
                "Removes events that were handled so long ago. Events that wait, run or are dead stay.", &days, true))
            p.quiet { "The same data as JSON: " a href="/api/v1/openapi.json" { "OpenAPI document" } }
        }
    };
    layout::page("System", Section::System, visitor, notice, &content)
}

fn resources(system: &System) -> Markup {
    let count = |count: usize| number(u64::try_from(count).unwrap_or(u64::MAX));
    let bytes = |bytes: usize| size(u64::try_from(bytes).unwrap_or(u64::MAX));
    let seconds = |seconds: f64| span(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    html! {
        section aria-labelledby="resources" {
            h2 #resources { "Connections and limits" }
            dl.facts {
                @for listener in &system.connections {
                    div { dt { "Open connections, " (listener.listener) } dd { (count(listener.open)) " of " (count(listener.most)) } }
                }
                @if let Some(limits) = &system.limits {
                    div { dt { "Memory for bodies" } dd { (bytes(limits.budget_used_bytes)) " of " (bytes(limits.budget_bytes)) " in use" } }
                    div { dt { "Largest body" } dd { (bytes(limits.body_bytes)) } }
                    div { dt { "Time for a body to arrive" } dd { (seconds(limits.body_seconds)) } }
                    div { dt { "Tolerance of timestamps" } dd { (seconds(limits.tolerance_seconds)) } }
                    div { dt { "Connections of one client" } dd {
                        @match limits.per_client { 0 => "no limit", most => { "at most " (count(most)) } }
                    } }
                }
            }
        }
    }
}

fn reconciler(system: &System) -> Markup {
    html! {
        @if let Some(reconciler) = &system.reconciler {
            section aria-labelledby="reconciler" {
                h2 #reconciler { "Reconciler" }
                dl.facts {
                    div { dt { "Next pass" } dd {
                        @match &reconciler.next_pass_at {
                            Some(at) => (utc(at)),
                            None => "after the first pass, which runs now",
                        }
                    } }
                    div { dt { "Missing jobs" } dd { (number(reconciler.missing_jobs)) } }
                    div { dt { "Pending jobs" } dd { (number(reconciler.pending_jobs)) } }
                }
                p.quiet { "A missing job has no event. A pending job still runs, or its webhook may still arrive." }
            }
        }
    }
}

fn utc(time: &str) -> String {
    format!(
        "{} UTC",
        time.get(..19).unwrap_or_default().replace('T', " ")
    )
}

fn refusals(system: &System) -> Markup {
    html! {
        section aria-labelledby="refusals" {
            h2 #refusals { "Last refusals" }
            @if system.refusals.is_empty() {
                p.quiet { "No delivery was refused since the start." }
            } @else {
                table.plain {
                    thead { tr { th scope="col" { "Time" } th scope="col" { "Reason" } th.number scope="col" { "Status" } } }
                    tbody {
                        @for refusal in &system.refusals {
                            tr { td { (refusal.at) } td { code { (refusal.reason) } } td.number { (refusal.status) } }
                        }
                    }
                }
                p.quiet { "The " a href="/page/doctor" { "doctor" } " explains a refused request." }
            }
        }
    }
}

fn facts(id: &str, title: &str, facts: &[Fact]) -> Markup {
    html! {
        @if !facts.is_empty() {
            section aria-labelledby=(id) {
                h2 id=(id) { (title) }
                dl.facts {
                    @for fact in facts { div { dt { (fact.name) } dd { (fact.value) } } }
                }
            }
        }
    }
}
