use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use tower_pyannote::WebhookEvent;

/// Returns the key of an event: the same for all deliveries of the event, and of no other event.
///
/// The key is `{job id}:{status}`. It is sent as `webhook-id`, `ce-id` and `Nats-Msg-Id`. A consumer that has seen a key
/// has seen the event.
///
/// Each byte of the job id and of the status that is not an ASCII letter, a digit, `-` or `_` is percent-encoded, so that
/// the key fits a header and has no full stop, which Standard Webhooks demands. A job id or a status that takes over 128
/// bytes then is written as `~` and the 64 hex digits of its SHA-256.
///
/// # Example
///
/// ```
/// use std::time::SystemTime;
/// use tower_pyannote::{WebhookEvent, event::Delivery};
/// use tower_pyannote_forward::event_key;
///
/// let body = r#"{"jobId": "3c8a89a5-8ac3", "status": "succeeded"}"#;
/// let event = WebhookEvent::new(body.into(), Delivery::at(SystemTime::now()))?;
/// assert_eq!(event_key(&event), "3c8a89a5-8ac3:succeeded");
/// # Ok::<(), tower_pyannote::event::EventError>(())
/// ```
#[must_use]
pub fn event_key(event: &WebhookEvent) -> String {
    format!("{}:{}", part(event.job_id()), part(event.status().as_str()))
}

fn part(text: &str) -> String {
    if text.len() <= LONGEST {
        let encoded = utf8_percent_encode(text, ENCODED).to_string();
        if encoded.len() <= LONGEST {
            return encoded;
        }
    }
    format!("~{}", base16ct::lower::encode_string(&Sha256::digest(text)))
}

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
const LONGEST: usize = 128;

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, time::SystemTime};

    use proptest::prelude::*;
    use tower_pyannote::event::Delivery;

    use super::*;

    fn key(job: &str, status: &str) -> String {
        let body = serde_json::json!({"jobId": job, "status": status}).to_string();
        event_key(&WebhookEvent::new(body.into(), Delivery::at(SystemTime::now())).unwrap())
    }

    #[test]
    fn characters_that_a_header_or_a_signature_forbids_are_encoded() {
        let cases = [
            ("3c8a89a5", "succeeded", "3c8a89a5:succeeded"),
            ("a.b", "failed", "a%2Eb:failed"),
            ("a:b", "", "a%3Ab:"),
            ("a\r\nb", "canceled", "a%0D%0Ab:canceled"),
            ("é", "a b", "%C3%A9:a%20b"),
            ("~", "%", "%7E:%25"),
        ];
        for (job, status, expected) in cases {
            assert_eq!(key(job, status), expected);
        }
    }

    #[test]
    fn long_job_id_is_written_as_its_digest() {
        let longest = "a".repeat(128);
        assert_eq!(key(&longest, "x"), format!("{longest}:x"));
        let digest = "c12cb024a2e5551cca0e08fce8f1c5e314555cc3fef6329ee994a3db752166ae";
        assert_eq!(key(&"a".repeat(129), "x"), format!("~{digest}:x"));
        // 43 characters that take three bytes each when encoded.
        assert!(key(&".".repeat(43), "x").starts_with('~'));
        assert_eq!(key(&".".repeat(42), "x"), format!("{}:x", "%2E".repeat(42)));
    }

    proptest! {
        #[test]
        fn different_events_have_different_keys_of_header_characters(
            events in prop::collection::hash_set((".{1,4}|[.:~%a]{1,140}", "[.:%a]{0,3}"), 2..20)
        ) {
            let mut keys = HashMap::new();
            for (job, status) in events {
                let key = key(&job, &status);
                prop_assert!(key.len() <= 2 * LONGEST + 1);
                prop_assert!(key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_%:~".contains(&byte)));
                prop_assert_eq!(keys.insert(key, (job, status)), None);
            }
        }
    }
}
