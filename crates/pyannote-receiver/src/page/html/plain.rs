use http::StatusCode;
use maud::html;

use super::{
    Page,
    layout::{self, Section, token},
};
use crate::{doctor::Diagnosis, page::access::Visitor};

/// A page that says why a request failed.
pub(in crate::page) fn error(status: StatusCode, text: &str) -> Page {
    let name = status.canonical_reason().unwrap_or("Error");
    layout::frame(
        name,
        &html! {
            main.narrow #content {
                h1 { (name) }
                p { (text) }
                p { a href="/page" { "Back to the events" } }
            }
        },
    )
}

/// The form that asks for the page's token.
pub(in crate::page) fn login(is_wrong: bool) -> Page {
    layout::frame(
        "Log in",
        &html! {
            main.narrow #content {
                h1 { "pyannote receiver" }
                @if is_wrong { p.problem role="alert" { "The token is wrong." } }
                form.stacked method="post" action="/page/login" {
                    label { span { "Token of the page" }
                        input type="password" name="token" required autocomplete="current-password" autofocus;
                    }
                    button.primary { "Log in" }
                }
            }
        },
    )
}

/// The form that explains why a request is refused.
pub(in crate::page) fn doctor(
    visitor: &Visitor,
    request: &str,
    diagnosis: Option<&Diagnosis>,
) -> Page {
    let content = html! {
        h1 { "Doctor" }
        p.lead { "Explains why a delivery is refused. Paste the whole request: its headers, a blank line, and its body. "
            "The receiver's webhook secrets are used, and neither shown nor stored." }
        @if let Some(diagnosis) = diagnosis {
            section #diagnosis aria-labelledby="found" {
                h2 #found { "Diagnosis" }
                @if diagnosis.is_verified() {
                    p { span.state.handled { "accepted" } }
                } @else {
                    p { span.state.dead { "refused" } }
                }
                dl.findings {
                    @for finding in &diagnosis.findings {
                        div { dt { code { (finding.name) } } dd { (finding) } }
                    }
                }
            }
        }
        form.stacked method="post" action="/page/doctor" {
            (token(visitor))
            label { span { "Request" }
                textarea name="request" rows="14" required spellcheck="false" autocomplete="off"
                    placeholder="POST /webhook HTTP/1.1\nx-request-timestamp: 1767225600\nx-signature: …\n\n{\"jobId\": …}" {
                    "\n" (request)
                }
            }
            button.primary { "Diagnose" }
        }
    };
    layout::page("Doctor", Section::Doctor, visitor, "", &content)
}
