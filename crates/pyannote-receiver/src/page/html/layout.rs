use maud::{DOCTYPE, Markup, html};

use super::Page;
use crate::page::{access::Visitor, assets};

/// The part of the program that a page belongs to.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Section {
    Events,
    System,
    Doctor,
}

/// Wraps the content of a page.
pub(super) fn page(
    title: &str,
    section: Section,
    visitor: &Visitor,
    notice: &str,
    content: &Markup,
) -> Page {
    let current = |it: Section| (it == section).then_some("page");
    frame(
        title,
        &html! {
            a.skip href="#content" { "Skip to the content" }
            header.top {
                a.brand href="/page" {
                    img src=(assets::address("icon.svg")) width="22" height="22" alt="";
                    span { "pyannote receiver" }
                }
                nav aria-label="Sections" {
                    a href="/page" aria-current=[current(Section::Events)] { "Events" }
                    a href="/page/system" aria-current=[current(Section::System)] { "System" }
                    a href="/page/doctor" aria-current=[current(Section::Doctor)] { "Doctor" }
                }
                @if visitor.has_session {
                    form.logout method="post" action="/page/logout" {
                        (token(visitor))
                        button.quiet { "Log out" }
                    }
                }
            }
            main #content tabindex="-1" {
                @if !notice.is_empty() {
                    p.notice role="status" { (notice.chars().take(200).collect::<String>()) }
                }
                (content)
            }
        },
    )
}

/// Wraps a page without navigation.
pub(super) fn frame(title: &str, body: &Markup) -> Page {
    Page(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · pyannote receiver" }
                link rel="icon" href=(assets::address("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(assets::address("page.css"));
                script type="module" src=(assets::address("page.js")) {}
            }
            body { (body) }
        }
    })
}

/// The hidden field without which no form is accepted.
pub(super) fn token(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="csrf" value=(visitor.csrf_token); }
}

/// The state of an event, by colour and word.
pub(super) fn state(name: &str) -> Markup {
    let class = match name {
        "waiting" => "state waiting",
        "running" => "state running",
        "handled" => "state handled",
        "dead" => "state dead",
        _ => "state unknown",
    };
    html! { span class=(class) { (name) } }
}

/// An action that asks before it acts.
pub(super) fn action(
    visitor: &Visitor,
    name: &str,
    address: &str,
    question: &str,
    fields: &Markup,
    is_dangerous: bool,
) -> Markup {
    html! {
        details.action {
            summary { (name) "…" }
            form method="post" action=(address) {
                (token(visitor))
                p { (question) }
                (fields)
                button.danger[is_dangerous].primary[!is_dangerous] { (name) }
            }
        }
    }
}
