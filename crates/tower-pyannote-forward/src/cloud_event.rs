use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tower_pyannote::{Kind, Status, WebhookEvent};

use crate::{config_error::ConfigError, event_key::event_key};

/// The attributes of an event by CloudEvents 1.0.
pub(crate) struct CloudEvent {
    pub(crate) id: String,
    source: String,
    kind: &'static str,
    status: &'static str,
    time: Option<String>,
    subject: Option<String>,
    reference: Option<String>,
}

impl CloudEvent {
    pub(crate) fn of(event: &WebhookEvent, source: &Source) -> Self {
        let time = Timestamp::try_from(event.received_at());
        Self {
            id: event_key(event),
            source: source.0.clone(),
            kind: event.job_kind().map_or("none", Kind::as_str),
            status: match event.status() {
                Status::Other(_) => "other",
                Status::Pending => "pending",
                Status::Created => "created",
                Status::Running => "running",
                Status::Succeeded => "succeeded",
                Status::Failed => "failed",
                Status::Canceled => "canceled",
                _ => "other",
            },
            time: time.ok().map(|time| time.to_string()),
            subject: short(event.job_id()),
            reference: event.reference().and_then(short),
        }
    }

    /// Returns `{kind}.{status}`, of fixed words without blanks, dots or wildcards.
    pub(crate) fn topic(&self) -> String {
        format!("{}.{}", self.kind, self.status)
    }

    /// Returns the headers of binary mode, with values that are percent-encoded as the HTTP binding demands.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let required = [
            ("content-type", "application/json".to_owned()),
            ("ce-specversion", "1.0".to_owned()),
            ("ce-id", encode(&self.id)),
            ("ce-source", self.source.clone()),
            ("ce-type", format!("ai.pyannote.{}", self.topic())),
        ];
        let optional = [
            ("ce-time", self.time.clone()),
            ("ce-subject", self.subject.clone()),
            ("ce-reference", self.reference.clone()),
        ];
        let optional = optional
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        required.into_iter().chain(optional)
    }
}

/// A valid `source` attribute, encoded for a header.
#[derive(Clone, Debug)]
pub(crate) struct Source(String);

impl Source {
    pub(crate) fn new(source: &str) -> Result<Self, ConfigError> {
        let is_reference = !source.is_empty()
            && source.len() <= LONGEST
            && source
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
        match is_reference {
            true => Ok(Self(encode(source))),
            false => Err(ConfigError::new(
                "source",
                "is not a URI reference of 1 to 1024 ASCII characters: give one like https://api.pyannote.ai",
            )),
        }
    }
}

impl Default for Source {
    fn default() -> Self {
        Self("https://api.pyannote.ai".to_owned())
    }
}

/// Returns the encoded text, unless it is empty or too long for a header.
fn short(text: &str) -> Option<String> {
    let encoded = (text.len() <= LONGEST).then(|| encode(text))?;
    (1..=LONGEST).contains(&encoded.len()).then_some(encoded)
}

fn encode(value: &str) -> String {
    utf8_percent_encode(value, ENCODED).to_string()
}

/// Blanks, double quotes, percent signs and everything that is not printable ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');
const LONGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use tower_pyannote::event::Delivery;

    use super::*;

    fn headers(body: &str) -> Vec<(&'static str, String)> {
        let received = UNIX_EPOCH + Duration::from_millis(1_767_225_600_250);
        let event = WebhookEvent::new(body.to_owned().into(), Delivery::at(received)).unwrap();
        CloudEvent::of(&event, &Source::default())
            .headers()
            .collect()
    }

    #[test]
    fn headers_describe_the_event() {
        let body = r#"{"jobId":"a","status":"succeeded","output":{"diarization":[]}}"#;
        let expected = [
            ("content-type", "application/json"),
            ("ce-specversion", "1.0"),
            ("ce-id", "a:succeeded"),
            ("ce-source", "https://api.pyannote.ai"),
            ("ce-type", "ai.pyannote.diarization.succeeded"),
            ("ce-time", "2026-01-01T00:00:00.25Z"),
            ("ce-subject", "a"),
        ];
        let expected = expected.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(headers(body), expected);
    }

    #[test]
    fn reference_of_the_submission_is_an_extension_attribute() {
        let body = r#"{"jobId":"a","status":"succeeded"}"#;
        let delivery = Delivery::at(UNIX_EPOCH).with_reference(Some("réunion 42".into()));
        let event = WebhookEvent::new(body.into(), delivery).unwrap();
        let headers: Vec<_> = CloudEvent::of(&event, &Source::default())
            .headers()
            .collect();
        let expected = ("ce-reference", "r%C3%A9union%2042".to_owned());
        assert_eq!(headers.last(), Some(&expected));
    }

    #[test]
    fn values_are_encoded_as_the_http_binding_demands() {
        let headers = headers(r#"{"jobId":"Ё \"%\u0001~.:","status":"a.>"}"#);
        let value = |name| {
            let header = headers.iter().find(|(header, _)| *header == name);
            header.map(|(_, value)| value.as_str())
        };
        // What the consumer decodes is the webhook-id.
        assert_eq!(
            value("ce-id"),
            Some("%25D0%2581%2520%2522%2525%2501%257E%252E%253A:a%252E%253E")
        );
        assert_eq!(value("ce-subject"), Some("%D0%81%20%22%25%01~.:"));
        assert_eq!(value("ce-type"), Some("ai.pyannote.none.other"));
    }

    #[test]
    fn job_id_that_is_too_long_for_a_header_is_no_subject() {
        let has_subject = |job: String| {
            headers(&format!(r#"{{"jobId":"{job}","status":"failed"}}"#))
                .iter()
                .any(|(name, _)| *name == "ce-subject")
        };
        assert!(has_subject("a".repeat(1024)));
        assert!(!has_subject("a".repeat(1025)));
        assert!(has_subject("%".repeat(341)));
        assert!(!has_subject("%".repeat(342)));
    }

    #[test]
    fn source_must_be_a_uri_reference() {
        for source in ["https://example.com/a?b=c%20d", "/recordings", "urn:x:1"] {
            assert!(Source::new(source).is_ok(), "{source}");
        }
        for source in ["", "a b", "é", "a\"b", "{a}", &"a".repeat(1025)] {
            let error = Source::new(source).unwrap_err();
            assert_eq!(
                error.to_string(),
                "the source is not a URI reference of 1 to 1024 ASCII characters: give one like https://api.pyannote.ai"
            );
        }
    }
}
