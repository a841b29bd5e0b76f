use std::{collections::BTreeMap, sync::atomic::Ordering};

use jiff::Timestamp;
use serde_json::{Value, json};
use tower_pyannote_inbox::InboxStats;

use crate::{endpoints::Endpoint, state::Answers};

/// The status page.
pub(crate) struct Index {
    endpoints: &'static [Endpoint],
    answers: [Row; 3],
    has_page: bool,
    /// Empty while the inbox does not answer.
    events: Vec<Row>,
    counted_at: Option<Timestamp>,
}

/// A name, a number and an explanation.
type Row = (&'static str, u64, &'static str);

impl Index {
    pub(crate) fn new(
        answers: &Answers,
        endpoints: &'static [Endpoint],
        counted: Option<(Timestamp, InboxStats)>,
        has_page: bool,
    ) -> Self {
        let answers = [
            ("accepted", &answers.accepted, "verified and committed"),
            (
                "refused",
                &answers.refused,
                "unsigned, stale, too large or malformed",
            ),
            ("failed", &answers.failed, "verified, but not committed"),
        ];
        let events = counted.as_ref().map(|(_, stats)| {
            vec![
                ("waiting", stats.waiting, "waiting for a worker or a retry"),
                ("running", stats.running, "in a worker"),
                ("handled", stats.handled, "done, and not yet pruned"),
                ("dead", stats.dead, DEAD),
            ]
        });
        Self {
            endpoints,
            answers: answers
                .map(|(name, count, about)| (name, count.load(Ordering::Relaxed), about)),
            has_page,
            events: events.unwrap_or_default(),
            counted_at: counted.map(|(at, _)| at),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let endpoints = self.endpoints.iter();
        let endpoints: Vec<_> = endpoints
            .map(|(method, path, about)| json!({ "method": method, "path": path, "what": about }))
            .collect();
        let counts = |rows: &[Row]| {
            let counts = rows.iter().map(|&(name, count, _)| (name, count));
            json!(counts.collect::<BTreeMap<_, _>>())
        };
        json!({
            "name": NAME,
            "version": VERSION,
            "description": DESCRIPTION,
            "endpoints": endpoints,
            "counts": counts(&self.answers),
            "inbox": counts(&self.events),
            "inbox_counted_at": self.counted_at.map(|at| at.to_string()),
        })
    }

    pub(crate) fn to_html(&self) -> String {
        let endpoints = self.endpoints.iter().map(|(method, path, about)| {
            format!("<tr><td><code>{method} {path}</code></td><td>{about}</td></tr>")
        });
        let rows = |rows: &[Row]| {
            let rows = rows.iter().map(|(name, count, about)| {
                format!("<tr><td>{name}</td><td>{count}</td><td>{about}</td></tr>")
            });
            rows.collect::<Vec<_>>().join("\n")
        };
        let counted_at = self.counted_at.map(|at| at.to_string());
        let page = match self.has_page {
            true => "<p><a href=\"/page\">Events, meetings and dead letters</a></p>\n",
            false => "",
        };
        format!(
            "<!doctype html>\n\
             <html lang=\"en\"><head><meta charset=\"utf-8\"><title>{NAME}</title>\n\
             <style>body {{ font: 16px/1.5 sans-serif; margin: 2em auto; max-width: 45em }} \
             td {{ padding: 0 1.5em 0 0 }}</style></head>\n\
             <body><h1>{NAME} {VERSION}</h1>\n<p>{DESCRIPTION}</p>\n{page}\
             <h2>Endpoints</h2>\n<table>\n{endpoints}\n</table>\n\
             <h2>Deliveries since the start</h2>\n<table>\n{answers}\n</table>\n\
             <h2>Events in the inbox</h2>\n<p>Counted: {counted_at}</p>\n<table>\n{events}\n</table>\n</body></html>\n",
            endpoints = endpoints.collect::<Vec<_>>().join("\n"),
            answers = rows(&self.answers),
            counted_at = counted_at.as_deref().unwrap_or("the inbox does not answer"),
            events = rows(&self.events),
        )
    }
}

const NAME: &str = "pyannote-receiver";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const DESCRIPTION: &str = "Receives pyannoteAI's webhooks: verifies each, commits it to an inbox, then runs handlers over it.";
const DEAD: &str =
    "retries exhausted; <code>pyannote-receiver inbox list --state dead</code> lists them";
