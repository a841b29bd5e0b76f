//! The filter of the list, as it is in the address of a page.

use std::time::SystemTime;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tower_pyannote::Kind;
use tower_pyannote_inbox::{InboxFilter, InboxState};
use utoipa::IntoParams;

/// Selects events. An empty value selects all.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// waiting, running, handled, dead or unknown.
    pub(crate) state: String,
    /// diarization, identification, voiceprint, unknown or none.
    pub(crate) kind: String,
    /// succeeded, failed, canceled, or another status as pyannoteAI wrote it.
    pub(crate) status: String,
    pub(crate) job: String,
    /// The reference that was submitted with the job.
    pub(crate) reference: String,
    /// Events received at this time or later: RFC 3339, or UTC without an offset.
    pub(crate) from: String,
    /// Events received before this time: RFC 3339, or UTC without an offset.
    pub(crate) to: String,
    /// The next newer events: a cursor.
    pub(crate) after: String,
    /// The next older events: a cursor.
    pub(crate) before: String,
    /// The largest number of events, at most 500. Default: 50.
    pub(crate) limit: Option<u32>,
}

impl EventQuery {
    /// Returns the number of events on a page.
    pub(crate) fn size(&self) -> u32 {
        self.limit.unwrap_or(50).clamp(1, 500)
    }

    /// Returns the filter of the inbox.
    ///
    /// # Errors
    ///
    /// Returns a sentence that names the wrong value.
    pub(crate) fn to_filter(&self) -> Result<InboxFilter, String> {
        let mut filter = InboxFilter::new().with_limit(self.size());
        if let Some(state) = chosen(&self.state) {
            filter = filter.with_state(state_of(state)?);
        }
        if let Some(kind) = chosen(&self.kind) {
            filter = filter.with_kind(kind_of(kind)?);
        }
        if let Some(status) = chosen(&self.status) {
            filter = filter.with_status(status);
        }
        if let Some(job) = chosen(&self.job) {
            filter = filter.with_job_id(job);
        }
        if let Some(reference) = chosen(&self.reference) {
            filter = filter.with_reference(reference);
        }
        if let Some(from) = chosen(&self.from) {
            filter = filter.with_received_from(time("from", from)?);
        }
        if let Some(to) = chosen(&self.to) {
            filter = filter.with_received_to(time("to", to)?);
        }
        let cursor = |name, text: &str| text.parse().map_err(|error| format!("{name}: {error}"));
        if let Some(after) = chosen(&self.after) {
            filter = filter.with_after(cursor("after", after)?);
        }
        if let Some(before) = chosen(&self.before) {
            filter = filter.with_before(cursor("before", before)?);
        }
        Ok(filter)
    }

    /// Returns the query of an address that selects the same events, without cursors.
    pub(crate) fn to_text(&self) -> String {
        let pairs = [
            ("state", &self.state),
            ("kind", &self.kind),
            ("status", &self.status),
            ("job", &self.job),
            ("reference", &self.reference),
            ("from", &self.from),
            ("to", &self.to),
        ];
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let mut pairs: Vec<_> = pairs
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
            .collect();
        if let Some(limit) = self.limit {
            pairs.push(format!("limit={limit}"));
        }
        pairs.join("&")
    }

    /// Returns the query with one more pair.
    pub(crate) fn with(&self, name: &str, value: &str) -> String {
        let pair = format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        match self.to_text() {
            text if text.is_empty() => pair,
            text => format!("{text}&{pair}"),
        }
    }

    /// Returns the query for events in another state.
    pub(crate) fn in_state(&self, state: &str) -> String {
        let query = Self {
            state: state.to_owned(),
            ..self.clone()
        };
        query.to_text()
    }

    /// Returns whether this is the first page, on which new events appear.
    pub(crate) fn is_first_page(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    /// Returns whether the query selects among all events.
    pub(crate) fn is_filtered(&self) -> bool {
        let rest = Self {
            state: String::new(),
            limit: None,
            ..self.clone()
        };
        !rest.to_text().is_empty()
    }
}

fn chosen(value: &str) -> Option<&str> {
    Some(value.trim()).filter(|value| !value.is_empty())
}

fn state_of(name: &str) -> Result<InboxState, String> {
    let known = [
        InboxState::Waiting,
        InboxState::Running,
        InboxState::Handled,
        InboxState::Dead,
        InboxState::Unknown,
    ];
    let state = known.into_iter().find(|state| state.as_str() == name);
    state.ok_or_else(|| "state: not waiting, running, handled, dead or unknown".to_owned())
}

fn kind_of(name: &str) -> Result<Option<Kind>, String> {
    let known = [
        Kind::Diarization,
        Kind::Identification,
        Kind::Voiceprint,
        Kind::Unknown,
    ];
    if name == "none" {
        return Ok(None);
    }
    let kind = known.into_iter().find(|kind| kind.as_str() == name);
    let wrong = "kind: not diarization, identification, voiceprint, unknown or none";
    kind.map(Some).ok_or_else(|| wrong.to_owned())
}

fn time(name: &str, text: &str) -> Result<SystemTime, String> {
    let utc = |text: &str| {
        let local: DateTime = text.parse().ok()?;
        TimeZone::UTC.to_timestamp(local).ok()
    };
    let time = text.parse::<Timestamp>().ok().or_else(|| utc(text));
    time.and_then(|time| SystemTime::try_from(time).ok())
        .ok_or_else(|| format!("{name}: not a time such as 2026-01-31T12:00 (UTC)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_named() {
        let error = |query: EventQuery| query.to_filter().unwrap_err();
        let query = EventQuery::default;
        assert!(
            error(EventQuery {
                state: "x".into(),
                ..query()
            })
            .starts_with("state: ")
        );
        assert!(
            error(EventQuery {
                kind: "x".into(),
                ..query()
            })
            .starts_with("kind: ")
        );
        assert!(
            error(EventQuery {
                from: "x".into(),
                ..query()
            })
            .starts_with("from: ")
        );
        assert!(
            error(EventQuery {
                to: "2026-13-01".into(),
                ..query()
            })
            .starts_with("to: ")
        );
        assert!(
            error(EventQuery {
                after: "x".into(),
                ..query()
            })
            .starts_with("after: ")
        );
        assert!(
            error(EventQuery {
                before: "1".into(),
                ..query()
            })
            .starts_with("before: ")
        );
    }

    #[test]
    fn times_have_an_offset_or_are_utc() {
        let expected = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_767_225_600);
        for text in [
            "2026-01-01T00:00",
            "2026-01-01T00:00:00Z",
            "2026-01-01T01:00:00+01:00",
            "2026-01-01",
        ] {
            assert_eq!(time("from", text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_query_in_an_address_is_escaped() {
        let query = EventQuery {
            job: "a&state=dead \"<".into(),
            reference: "b&c".into(),
            limit: Some(7),
            ..EventQuery::default()
        };
        assert_eq!(
            query.to_text(),
            "job=a%26state%3Ddead%20%22%3C&reference=b%26c&limit=7"
        );
        assert_eq!(
            query.with("before", "1-2"),
            format!("{}&before=1%2D2", query.to_text())
        );
    }
}
