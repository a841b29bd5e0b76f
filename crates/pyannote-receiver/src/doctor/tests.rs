//! The doctor names each fault in a table, and never prints a secret or a signature.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64ct::Encoding as _;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use tower_pyannote::{SecretSet, Signature, SigningKey, Verifier, WebhookSecret};

use super::{Diagnosis, Doctor, Finding};

const SECRET: &str = "whs_00112233445566778899aabbccddeeff";
const OTHER: &str = "whs_ffeeddccbbaa99887766554433221100";
const BODY: &str = "{\"status\": \"succeeded\", \"jobId\": \"1\", \"output\": {\"diarization\": [\
{\"speaker\": \"Zo\u{eb} \u{2013} A\", \"start\": 1.0, \"end\": 2.5}], \"empty\": [], \"none\": {}}}";

/// 2026-01-01T00:00:00Z.
const AT: u64 = 1_767_225_600;

/// A delivery as received.
#[derive(Clone)]
struct Sent {
    setting: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    now: u64,
}

impl Sent {
    fn good() -> Self {
        Self::signed(SECRET, BODY)
    }

    fn signed(secret: &str, body: impl AsRef<[u8]>) -> Self {
        Self::signed_at(secret, &AT.to_string(), body)
    }

    fn signed_at(secret: &str, timestamp: &str, body: impl AsRef<[u8]>) -> Self {
        let message = [b"v0:", timestamp.as_bytes(), b":", body.as_ref()].concat();
        Self {
            headers: vec![
                ("x-request-timestamp", timestamp.to_owned()),
                ("x-signature", hex(&mac(secret.as_bytes(), &message))),
            ],
            setting: SECRET.to_owned(),
            body: body.as_ref().to_vec(),
            now: AT,
        }
    }

    /// Signs `message` instead of the right one.
    fn over(message: &str) -> Self {
        Self::good().signature(|_| hex(&mac(SECRET.as_bytes(), message.as_bytes())))
    }

    fn setting(mut self, setting: impl Into<String>) -> Self {
        self.setting = setting.into();
        self
    }

    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    fn timestamp(mut self, change: impl FnOnce(&str) -> String) -> Self {
        self.headers[0].1 = change(&self.headers[0].1);
        self
    }

    fn signature(mut self, change: impl FnOnce(&str) -> String) -> Self {
        self.headers[1].1 = change(&self.headers[1].1);
        self
    }

    fn renamed(mut self, index: usize, name: &'static str) -> Self {
        self.headers[index].0 = name;
        self
    }

    fn now(mut self, now: u64) -> Self {
        self.now = now;
        self
    }

    fn headers(&self) -> HeaderMap {
        let headers = self.headers.iter().map(|(name, value)| {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            (HeaderName::from_static(name), value)
        });
        let mut map = HeaderMap::new();
        headers.for_each(|(name, value)| {
            map.append(name, value);
        });
        map
    }

    fn diagnosis(&self) -> Diagnosis {
        let doctor = Doctor::from_setting(self.setting.as_str());
        doctor.diagnose(&self.headers(), &self.body, at(self.now))
    }

    fn findings(&self) -> Vec<Finding> {
        self.diagnosis().findings
    }

    fn names(&self) -> Vec<&'static str> {
        names(&self.diagnosis())
    }
}

fn names(diagnosis: &Diagnosis) -> Vec<&'static str> {
    diagnosis.findings.iter().map(|found| found.name).collect()
}

/// Returns whether the causes are proven.
fn is_explained(diagnosis: &Diagnosis) -> bool {
    names(diagnosis).last() == Some(&"matches_otherwise")
}

/// Returns a doctor that hashes at most this many bytes.
fn limited(setting: &str, work_limit: usize) -> Doctor {
    Doctor {
        work_limit,
        ..Doctor::from_setting(setting)
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// An HMAC that shares no code with the crate's.
fn mac(secret: &[u8], message: &[u8]) -> [u8; 32] {
    hmac_sha256::HMAC::mac(message, secret)
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(bytes: &[u8]) -> String {
    base64ct::Base64::encode_string(bytes)
}

fn digest(hex: &str) -> Vec<u8> {
    base16ct::lower::decode_vec(hex).unwrap()
}

fn packed<W: std::io::Write>(mut encoder: W, finish: impl FnOnce(W) -> Vec<u8>) -> Vec<u8> {
    encoder.write_all(BODY.as_bytes()).unwrap();
    finish(encoder)
}

/// The search ends in a match, with exactly these findings.
#[test]
fn reversible_fault_is_named_and_proven() {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    let good = Sent::good;
    let key = SECRET.strip_prefix("whs_").unwrap();
    let key_bytes = digest(key);
    let message = format!("v0:{AT}:{BODY}");
    let level = Compression::default();
    let compact = BODY.replace(": ", ":").replace(", ", ",");
    let escaped = BODY
        .replace('\u{eb}', "\\u00eb")
        .replace('\u{2013}', "\\u2013");
    let upper_escapes = BODY
        .replace('\u{eb}', "\\u00EB")
        .replace('\u{2013}', "\\u2013");
    let value: serde_json::Value = serde_json::from_str(BODY).unwrap();
    let sorted = serde_json::to_string(&value).unwrap();
    let pretty = serde_json::to_string_pretty(&value).unwrap();
    let chunked = format!(
        "5\r\n{}\r\n{:X};x=y\r\n{}\r\n0\r\n\r\n",
        &BODY[..5],
        BODY.len() - 5,
        &BODY[5..]
    );
    let hour = 3600;
    let with_plus = (0..)
        .map(|number| number.to_string())
        .find(|body| base64(&digest(&sign(body)))[1..].contains('+'))
        .unwrap();

    for (name, sent, expected) in [
        // The secret.
        (
            "blanks around the secret",
            good().setting(format!(" {SECRET}\t")),
            &["secret_padded"][..],
        ),
        (
            "a line end after the secret",
            good().setting(format!("{SECRET}\r\n")),
            &["secret_padded"],
        ),
        (
            "a byte order mark before the secret",
            good().setting(format!("\u{feff}{SECRET}")),
            &["secret_padded"],
        ),
        (
            "a written line end after the secret",
            good().setting(format!("{SECRET}\\n")),
            &["secret_escaped_newline"],
        ),
        (
            "double quotes around the secret",
            good().setting(format!("\"{SECRET}\"")),
            &["secret_quoted"],
        ),
        (
            "single quotes around the secret",
            good().setting(format!("'{SECRET}'")),
            &["secret_quoted"],
        ),
        (
            "curly quotes around the secret",
            good().setting(format!("\u{201c}{SECRET}\u{201d}")),
            &["secret_quoted"],
        ),
        (
            "blanks within quotes",
            good().setting(format!("' {SECRET}'")),
            &["secret_quoted"],
        ),
        (
            "blanks around quotes",
            good().setting(format!("'{SECRET}' ")),
            &["secret_padded", "secret_quoted"],
        ),
        (
            "the name before the secret",
            good().setting(format!("PYANNOTEAI_WEBHOOK_SECRET={SECRET}")),
            &["secret_assigned"],
        ),
        (
            "the name before the quoted secret",
            good().setting(format!("export SECRET=\"{SECRET}\"")),
            &["secret_assigned"],
        ),
        (
            "secrets with a semicolon between",
            good().setting(format!("{OTHER};{SECRET}")),
            &["secret_listed"],
        ),
        (
            "no prefix on the secret",
            good().setting(key),
            &["secret_prefix_missing"],
        ),
        (
            "upper case",
            good().setting(SECRET.to_uppercase()),
            &["secret_upper_case"],
        ),
        (
            "a percent-encoded secret",
            good().setting(SECRET.replace('_', "%5F")),
            &["secret_percent_encoded"],
        ),
        (
            "a sender that leaves out the prefix",
            Sent::signed(key, BODY),
            &["secret_prefix_added"],
        ),
        (
            "a sender that decodes hex",
            good().signature(|_| hex(&mac(&key_bytes, message.as_bytes()))),
            &["secret_hex_decoded"],
        ),
        (
            "a sender that decodes base64",
            good()
                .setting("whsec_c2VjcmV0IHRoYXQgaXMgbG9uZw==")
                .signature(|_| hex(&mac(b"secret that is long", message.as_bytes()))),
            &["secret_base64_decoded"],
        ),
        (
            "a sender with a line end",
            Sent::signed(&format!("{SECRET}\n"), BODY),
            &["secret_newline_signed"],
        ),
        // What was signed.
        (
            "no version",
            Sent::over(&format!("{AT}:{BODY}")),
            &["signed_without_version"],
        ),
        (
            "no timestamp",
            Sent::over(&format!("v0:{BODY}")),
            &["signed_without_timestamp"],
        ),
        ("the body alone", Sent::over(BODY), &["signed_body_alone"]),
        (
            "dots",
            Sent::over(&format!("{AT}.{BODY}")),
            &["signed_with_dots"],
        ),
        (
            "version and dots",
            Sent::over(&format!("v0.{AT}.{BODY}")),
            &["signed_with_version_and_dots"],
        ),
        (
            "no separator",
            Sent::over(&format!("{AT}{BODY}")),
            &["signed_without_separator"],
        ),
        (
            "another version",
            Sent::over(&format!("v1:{AT}:{BODY}")),
            &["signed_with_other_version"],
        ),
        // The signature.
        (
            "a renamed signature",
            good().renamed(1, "x-webhook-signature"),
            &["signature_renamed"],
        ),
        (
            "two signatures",
            good().header("x-signature", "0".repeat(64)),
            &["signature_repeated"],
        ),
        (
            "a quoted signature",
            good().signature(|it| format!("\"{it}\"")),
            &["signature_quoted"],
        ),
        (
            "a padded signature",
            good().signature(|it| format!(" {it}\t")),
            &["signature_padded"],
        ),
        (
            "padding and quotes",
            good().signature(|it| format!(" '{it}'")),
            &["signature_padded", "signature_quoted"],
        ),
        (
            "joined signatures",
            good().signature(|it| format!("{it}, {it}")),
            &["signature_joined"],
        ),
        (
            "a timestamp beside it",
            good().signature(|it| format!("t={AT},v1={it}")),
            &["signature_joined"],
        ),
        (
            "the prefix of GitHub",
            good().signature(|it| format!("sha256={it}")),
            &["signature_prefixed"],
        ),
        (
            "a scheme before it",
            good().signature(|it| format!("HMAC {it}")),
            &["signature_prefixed"],
        ),
        (
            "the prefix twice",
            good().signature(|it| format!("v0=v0={it}")),
            &["signature_prefix_repeated"],
        ),
        (
            "percent-encoded",
            good().signature(|it| {
                base64(&digest(it))
                    .replace('+', "%2B")
                    .replace('/', "%2F")
                    .replace('=', "%3D")
            }),
            &["signature_percent_encoded"],
        ),
        (
            "a lost plus",
            Sent::signed(SECRET, with_plus).signature(|it| base64(&digest(it)).replace('+', " ")),
            &["signature_plus_lost"],
        ),
        (
            "base64 of URLs",
            good().signature(|it| base64ct::Base64UrlUnpadded::encode_string(&digest(it))),
            &["signature_base64url"],
        ),
        // The timestamp.
        (
            "a lost timestamp",
            good().without("x-request-timestamp").now(AT + 3),
            &["timestamp_missing", "timestamp_altered"],
        ),
        (
            "a renamed timestamp",
            good().renamed(0, "x-timestamp"),
            &["timestamp_renamed"],
        ),
        (
            "two timestamps",
            good().header("x-request-timestamp", AT + 5),
            &["timestamp_repeated"],
        ),
        (
            "a padded timestamp",
            good().timestamp(|it| format!("{it} ")),
            &["timestamp_padded"],
        ),
        (
            "a quoted timestamp",
            good().timestamp(|it| format!("\"{it}\"")),
            &["timestamp_quoted"],
        ),
        (
            "joined timestamps",
            good().timestamp(|it| format!("{it}, {it}")),
            &["timestamp_joined"],
        ),
        (
            "a date in place of the seconds",
            good().timestamp(|_| "2026-01-01T00:00:00Z".to_owned()),
            &["timestamp_date"],
        ),
        (
            "a signed date",
            Sent::signed_at(SECRET, "2026-01-01T00:00:00Z", BODY),
            &["timestamp_date"],
        ),
        (
            "a signed date of HTTP",
            Sent::signed_at(SECRET, "Thu, 01 Jan 2026 00:00:00 GMT", BODY),
            &["timestamp_date"],
        ),
        (
            "a fraction",
            Sent::signed_at(SECRET, "1767225600.25", BODY),
            &["timestamp_fraction"],
        ),
        (
            "milliseconds",
            Sent::signed_at(SECRET, "1767225600123", BODY),
            &["timestamp_milliseconds"],
        ),
        (
            "milliseconds set later",
            good().timestamp(|it| format!("{it}000")),
            &["timestamp_milliseconds"],
        ),
        (
            "microseconds",
            Sent::signed_at(SECRET, "1767225600123456", BODY),
            &["timestamp_microseconds"],
        ),
        (
            "nanoseconds",
            Sent::signed_at(SECRET, "1767225600123456789", BODY),
            &["timestamp_nanoseconds"],
        ),
        ("stale", good().now(AT + 601), &["timestamp_stale"]),
        ("newer", good().now(AT - 601), &["timestamp_future"]),
        (
            "another zone",
            good().now(AT + 2 * hour),
            &["timestamp_stale"],
        ),
        (
            "a timestamp set by a proxy",
            good().timestamp(|_| (AT + 7).to_string()),
            &["timestamp_altered"],
        ),
        (
            "a timestamp in local time",
            good().timestamp(|_| (AT - 5 * hour).to_string()).now(AT),
            &["timestamp_stale", "timestamp_altered"],
        ),
        // The body.
        (
            "a line end added",
            good().body(format!("{BODY}\n")),
            &["body_newline_added"],
        ),
        (
            "CR LF added",
            good().body(format!("{BODY}\r\n")),
            &["body_newline_added"],
        ),
        (
            "a line end lost",
            Sent::signed(SECRET, format!("{BODY}\n")).body(BODY),
            &["body_newline_lost"],
        ),
        (
            "CR LF lost",
            Sent::signed(SECRET, format!("{BODY}\r\n")).body(BODY),
            &["body_newline_lost"],
        ),
        (
            "blanks added",
            good().body(format!(" {BODY}\n\n")),
            &["body_blanks_added"],
        ),
        (
            "a BOM added",
            good().body(format!("\u{feff}{BODY}")),
            &["body_bom_added"],
        ),
        (
            "compacted",
            good().body(compact.clone()),
            &["body_reserialised"],
        ),
        (
            "spaced",
            Sent::signed(SECRET, &compact).body(BODY),
            &["body_reserialised"],
        ),
        (
            "made pretty",
            Sent::signed(SECRET, &sorted).body(pretty.clone()),
            &["body_reserialised"],
        ),
        (
            "made plain",
            Sent::signed(SECRET, &pretty).body(sorted.clone()),
            &["body_reserialised"],
        ),
        (
            "no longer sorted",
            Sent::signed(SECRET, &sorted).body(BODY),
            &["body_reserialised"],
        ),
        (
            "escaped",
            good().body(escaped.clone()),
            &["body_reserialised"],
        ),
        (
            "escaped in upper case",
            good().body(upper_escapes),
            &["body_reserialised"],
        ),
        (
            "no longer escaped",
            Sent::signed(SECRET, &escaped).body(BODY),
            &["body_reserialised"],
        ),
        (
            "whole numbers",
            good().body(BODY.replace("1.0", "1")),
            &["body_reserialised"],
        ),
        (
            "fractions",
            Sent::signed(SECRET, BODY.replace("1.0", "1")).body(BODY),
            &["body_reserialised"],
        ),
        (
            "all of it, as JavaScript does to Python's JSON",
            Sent::signed(SECRET, &escaped).body(compact.replace("1.0", "1")),
            &["body_reserialised"],
        ),
        (
            "sorted by a receiver in Go",
            Sent::signed(
                SECRET,
                r#"{"jobId": "<1>", "status": "succeeded", "output": {}}"#,
            )
            .body(r#"{"jobId":"\u003c1\u003e","output":{},"status":"succeeded"}"#),
            &["body_reserialised"],
        ),
        (
            "escaped by a sender in Go",
            Sent::signed(SECRET, r#"{"jobId":"\u003c1\u003e","status":"failed"}"#)
                .body(r#"{"jobId": "<1>", "status": "failed"}"#),
            &["body_reserialised"],
        ),
        (
            "pretty with a line end, as jq prints it",
            Sent::signed(SECRET, format!("{pretty}\n")).body(sorted.clone()),
            &["body_reserialised", "body_newline_lost"],
        ),
        (
            "gzip",
            good().body(packed(GzEncoder::new(Vec::new(), level), |it| {
                it.finish().unwrap()
            })),
            &["body_compressed"],
        ),
        (
            "zlib",
            good().body(packed(ZlibEncoder::new(Vec::new(), level), |it| {
                it.finish().unwrap()
            })),
            &["body_compressed"],
        ),
        (
            "deflate",
            good().body(packed(DeflateEncoder::new(Vec::new(), level), |it| {
                it.finish().unwrap()
            })),
            &["body_compressed"],
        ),
        (
            "in base64",
            good().body(base64(BODY.as_bytes())),
            &["body_base64"],
        ),
        (
            "a JSON string",
            good().body(serde_json::to_string(BODY).unwrap()),
            &["body_json_string"],
        ),
        ("in chunks", good().body(chunked), &["body_chunked"]),
        (
            "extended",
            good()
                .body(format!("{BODY}and more"))
                .header("content-length", BODY.len()),
            &["body_extended"],
        ),
        // Two at once.
        (
            "a quoted secret, and a body re-serialised",
            good().setting(format!("'{SECRET}'")).body(compact.clone()),
            &["secret_quoted", "body_reserialised"],
        ),
        (
            "a secret without prefix, and the body alone signed",
            Sent::over(BODY).setting(key),
            &["secret_prefix_missing", "signed_body_alone"],
        ),
        (
            "the body alone signed, and re-serialised",
            Sent::over(BODY).body(compact),
            &["signed_body_alone", "body_reserialised"],
        ),
        (
            "stale, and a signature quoted",
            good().signature(|it| format!("\"{it}\"")).now(AT + 700),
            &["timestamp_stale", "signature_quoted"],
        ),
    ] {
        let expected: Vec<&str> = expected
            .iter()
            .copied()
            .chain(["matches_otherwise"])
            .collect();
        assert_eq!(sent.names(), expected, "{name}");
    }
}

/// The search ends without a match, with these findings in order.
#[test]
fn irreversible_fault_is_named() {
    let good = Sent::good;
    let compact = BODY.replace(": ", ":").replace(", ", ",");
    for (name, sent, expected) in [
        (
            "no signature",
            good().without("x-signature"),
            &["signature_missing"][..],
        ),
        (
            "an empty signature",
            good().signature(|_| String::new()),
            &["signature_empty"],
        ),
        (
            "SHA-1",
            good().signature(|it| it[..40].to_owned()),
            &["signature_length"],
        ),
        (
            "a cut signature",
            good().signature(|it| it[1..].to_owned()),
            &["signature_length"],
        ),
        (
            "no hex",
            good().signature(|it| it.replacen(|_| true, "g", 1)),
            &["signature_characters"],
        ),
        (
            "no headers",
            good().without("x-signature").without("x-request-timestamp"),
            &["timestamp_missing", "signature_missing"],
        ),
        (
            "an empty timestamp",
            good().timestamp(|_| String::new()).now(AT + 1800),
            &["timestamp_empty", "nothing_matches"],
        ),
        (
            "a word for a timestamp",
            good().timestamp(|_| "now".to_owned()).now(AT + 1800),
            &["timestamp_malformed", "nothing_matches"],
        ),
        (
            "a timestamp of 20 digits",
            good().timestamp(|_| "1".repeat(20)).now(AT + 1800),
            &["timestamp_malformed", "nothing_matches"],
        ),
        (
            "another team's",
            good().setting(OTHER),
            &["nothing_matches"],
        ),
        (
            "both of another team",
            good().setting(format!("{OTHER},{OTHER}0")),
            &["nothing_matches", "secret_unlike"],
        ),
        (
            "no secret",
            good().setting(""),
            &["secret_empty", "nothing_matches", "secret_unlike"],
        ),
        (
            "a blank secret",
            good().setting("  "),
            &["secret_blank", "nothing_matches", "secret_unlike"],
        ),
        (
            "a value changed",
            good().body(BODY.replace("succeeded", "failed")),
            &["nothing_matches"],
        ),
        (
            "an empty body",
            good().body(""),
            &["body_empty", "nothing_matches"],
        ),
        (
            "a cut body",
            good()
                .body(&BODY[..40])
                .header("content-length", BODY.len()),
            &["body_cut", "nothing_matches"],
        ),
        (
            "decompressed",
            good()
                .header("content-encoding", "gzip")
                .body(compact.replace("succeeded", "failed")),
            &["body_decompressed", "nothing_matches"],
        ),
        (
            "characters lost",
            good().body(BODY.replace('\u{eb}', "\u{fffd}")),
            &["body_characters_lost", "nothing_matches"],
        ),
    ] {
        assert_eq!(sent.names(), expected, "{name}");
    }
}

#[test]
fn verified_delivery_names_the_matching_secret() {
    let first = Sent::good().diagnosis();
    assert_eq!(
        first.to_string(),
        "verified: the delivery is accepted, under secret 1"
    );
    assert_eq!(first.secret, Some(0));
    let second = Sent::good().setting(format!("{OTHER},{SECRET}"));
    let second = second.diagnosis();
    assert_eq!(
        second.to_string(),
        "verified: the delivery is accepted, under secret 2"
    );
    assert_eq!(second.secret, Some(1));
    let in_base64 = Sent::good().signature(|it| format!("v0={}", base64(&digest(it))));
    assert_eq!(in_base64.names(), ["verified"]);
}

#[test]
fn finding_names_the_index_of_its_secret() {
    let sent = Sent::good().setting(format!("{OTHER}, \"{SECRET}\""));
    let findings = sent.findings();
    let names: Vec<&str> = findings.iter().map(|found| found.name).collect();
    assert_eq!(
        names,
        ["secret_padded", "secret_quoted", "matches_otherwise"]
    );
    assert_eq!(
        findings[1].to_string(),
        "secret 2 has quotes around it: remove them"
    );
    assert_eq!(
        findings[2].to_string(),
        "with the above undone the signature matches, under secret 2"
    );
}

#[test]
fn reserialised_finding_describes_the_signed_style() {
    let javascript = BODY
        .replace(": ", ":")
        .replace(", ", ",")
        .replace("1.0", "1");
    let sent = Sent::good().body(javascript);
    assert_eq!(sent.names(), ["body_reserialised", "matches_otherwise"]);
    assert_eq!(
        sent.findings()[0].to_string(),
        "the body was parsed and written again, and was signed with a blank after each comma and colon, with `1.0` for \
         `1`: verify the raw bytes, before any JSON parser"
    );
}

#[test]
fn skew_finding_has_seconds_direction_and_hours() {
    let clocks = "set the clocks, or send a fresh delivery if this one was kept";
    for (now, name, skew, advice) in [
        (AT + 601, "timestamp_stale", "601 s older", clocks),
        (AT - 601, "timestamp_future", "601 s newer", clocks),
        (
            AT + 3600 * 9 + 599,
            "timestamp_stale",
            "32999 s older",
            "that is 9 h, so one side takes local time for UTC",
        ),
        (
            AT - 3600,
            "timestamp_future",
            "3600 s newer",
            "that is 1 h, so one side takes local time for UTC",
        ),
        (AT + 3600 * 15, "timestamp_stale", "54000 s older", clocks),
    ] {
        let found = &Sent::good().now(now).findings()[0];
        let text = format!("the timestamp is {skew} than now, over the tolerance: {advice}");
        assert_eq!((found.name, found.to_string()), (name, text));
    }
    let earlier = Sent::good().timestamp(|_| (AT + 7).to_string()).findings();
    assert_eq!(
        earlier[0].to_string(),
        "the timestamp that was signed is 7 s earlier: find the program that sets x-request-timestamp"
    );
}

#[test]
fn tolerance_decides_what_is_stale() {
    let sent = Sent::good();
    let tight = Doctor {
        tolerance: Duration::from_secs(1),
        ..Doctor::from_setting(SECRET)
    };
    let diagnosis = tight.diagnose(&sent.headers(), &sent.body, at(AT + 2));
    assert_eq!(diagnosis.findings[0].name, "timestamp_stale");
    let wide = Doctor {
        tolerance: Duration::from_secs(2),
        ..tight
    };
    assert!(
        wide.diagnose(&sent.headers(), &sent.body, at(AT + 2))
            .is_verified()
    );
}

#[test]
fn work_limit_stops_the_search_but_not_the_check() {
    let doctor = limited(SECRET, 0);
    let good = Sent::good();
    assert!(
        doctor
            .diagnose(&good.headers(), &good.body, at(AT))
            .is_verified()
    );
    let stale = doctor.diagnose(&good.headers(), &good.body, at(AT + 601));
    assert!(is_explained(&stale));

    let bad = Sent::over(BODY);
    let diagnosis = doctor.diagnose(&bad.headers(), &bad.body, at(AT));
    assert_eq!(names(&diagnosis), ["nothing_matches", "search_cut_short"]);
    assert_eq!(diagnosis.secret, None);
    assert!(Sent::over(BODY).names().contains(&"signed_body_alone"));
}

#[test]
fn decompression_bomb_stops_at_the_work_limit() {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 4 << 20]).unwrap();
    let sent = Sent::good().body(bomb.finish().unwrap());
    let doctor = limited(SECRET, 2 << 20);
    let diagnosis = doctor.diagnose(&sent.headers(), &sent.body, at(AT));
    assert_eq!(names(&diagnosis), ["nothing_matches", "search_cut_short"]);
}

#[test]
fn diagnosis_prints_one_finding_a_line() {
    let sent = Sent::good().body(format!("{BODY}\n"));
    let doctor = Doctor::from_setting(SECRET);
    let diagnosis = doctor.diagnose(&sent.headers(), &sent.body, at(AT));
    assert_eq!(
        diagnosis.to_string(),
        "body_newline_added: the body has a newline at its end that was added: keep the bytes unchanged\n\
         matches_otherwise: with the above undone the signature matches, under secret 1"
    );
    assert_eq!(diagnosis.secret, Some(0));
    assert_eq!(
        format!("{doctor:?}"),
        "Doctor { secrets: 1, tolerance: 600s, work_limit: 8589934592 }"
    );
}

/// Everything that the doctor prints about a delivery.
fn printed(sent: &Sent) -> String {
    let doctor = limited(&sent.setting, 4 << 20);
    let diagnosis = doctor.diagnose(&sent.headers(), &sent.body, at(sent.now));
    assert!(!diagnosis.findings.is_empty());
    format!("{doctor:?} {diagnosis:?} {diagnosis}")
}

fn a_header() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(AT.to_string()),
        Just(sign(BODY)),
        Just(format!("\"{}\"", sign(BODY))),
        Just(format!("sha256={0}, {0}", sign("{}"))),
        Just(base64(sign(BODY).as_bytes())),
        "[ -~]{0,80}",
    ]
}

fn a_body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(BODY.as_bytes().to_vec()),
        Just(sign(BODY).into_bytes()),
        Just(format!("{BODY}\r\n").into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..64),
        "[\\[\\]{}\",:0-9.\\\\ue-]{0,64}".prop_map(String::into_bytes),
    ]
}

fn sign(body: &str) -> String {
    hex(&mac(
        SECRET.as_bytes(),
        format!("v0:{AT}:{body}").as_bytes(),
    ))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_diagnosis_contains_a_secret_or_a_signature(
        setting in prop_oneof![
            Just(SECRET.to_owned()),
            Just(format!("'{SECRET}'")),
            Just(format!("{OTHER}, {SECRET}\n")),
        ],
        names in proptest::collection::vec(0..6_usize, 0..4),
        values in proptest::collection::vec(a_header(), 4),
        body in a_body(),
        shift in 0..10_000_u64,
    ) {
        const NAMES: [&str; 6] = [
            "x-request-timestamp", "x-signature", "content-length", "content-encoding", "signature", "x-timestamp",
        ];
        let headers = names.iter().zip(values).map(|(&name, value)| (NAMES[name], value)).collect();
        let sent = Sent { setting, headers, body: body.clone(), now: AT + shift };
        let printed = printed(&sent).to_lowercase();

        let text = String::from_utf8_lossy(&body);
        for secret in [SECRET, OTHER] {
            prop_assert!(!printed.contains(&secret[4..]));
        }
        for digest in [sign(BODY), sign("{}"), sign(&text)] {
            let in_base64 = base64(&self::digest(&digest)).to_lowercase();
            prop_assert!(!printed.contains(&digest[..16]));
            prop_assert!(!printed.contains(&in_base64[..16]));
        }
    }

    #[test]
    fn verified_is_exactly_what_the_verifier_accepts(
        timestamp in prop_oneof![Just(AT.to_string()), a_header()],
        signature in prop_oneof![Just(sign(BODY)), a_header()],
        body in prop_oneof![Just(BODY.as_bytes().to_vec()), a_body()],
        shift in 0..1_200_u64,
    ) {
        let setting = format!("{OTHER},{SECRET}");
        let secrets = SecretSet::from_list(&setting).unwrap();
        let headers = vec![("x-request-timestamp", timestamp), ("x-signature", signature)];
        let sent = Sent { setting: String::new(), headers, body, now: AT + shift };
        let doctor = limited(&setting, 1 << 20);
        let headers = sent.headers();
        let values = |name| headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
        let verified = Verifier::new(secrets)
            .verify(values("x-request-timestamp"), values("x-signature"), &sent.body, at(sent.now));
        let diagnosis = doctor.diagnose(&headers, &sent.body, at(sent.now));
        prop_assert_eq!(diagnosis.is_verified(), verified.is_ok());
        prop_assert_eq!(diagnosis.is_verified() || is_explained(&diagnosis), diagnosis.secret.is_some());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn rewritten_body_is_explained_at_any_depth(
        brackets in proptest::collection::vec(any::<bool>(), 1..40_000),
        is_spaced in any::<bool>(),
    ) {
        let written = |opened: &str| {
            let open = brackets.iter().map(|&is_list| if is_list { "[" } else { opened });
            let close = brackets.iter().rev().map(|&is_list| if is_list { "]" } else { "}" });
            open.chain(["null"]).chain(close).collect::<String>()
        };
        let (compact, spaced) = (written("{\"a\":"), written("{\"a\": "));
        prop_assume!(compact != spaced);
        let (signed, body) = if is_spaced { (spaced, compact) } else { (compact, spaced) };
        let sent = Sent::signed(SECRET, signed).body(body);
        prop_assert_eq!(sent.names(), ["body_reserialised", "matches_otherwise"]);
    }
}

#[test]
fn hmac_of_the_tests_is_the_crates() {
    let key = SigningKey::new(&WebhookSecret::new(SECRET).unwrap());
    let ours = Signature::parse(sign(BODY).as_bytes()).unwrap();
    assert!(key.sign(AT.to_string(), BODY.as_bytes()).matches(&ours));
}

#[test]
fn json_100_000_deep_needs_only_a_small_stack() {
    let deep = |open: &str, close: &str| open.repeat(100_000) + "0" + &close.repeat(100_000);
    for (name, body) in [
        ("lists", deep("[", "]")),
        ("objects", deep(r#"{"a":"#, "}")),
        ("unsorted objects", deep(r#"{"b":0,"a":"#, "}")),
        ("escaped keys", deep(r#"{"\u0062":0,"\u0061":"#, "}")),
        ("spread over lines", deep("[\n", "\n]")),
        ("never closed", "[".repeat(100_000)),
        ("closed too often", "[]".to_owned() + &"]".repeat(100_000)),
    ] {
        let begun = Instant::now();
        let diagnose = move || {
            let mut headers = HeaderMap::new();
            headers.insert("x-request-timestamp", 1_767_225_600.into());
            headers.insert("x-signature", "0".repeat(64).parse().unwrap());
            let doctor = limited(SECRET, 64 << 20);
            doctor.diagnose(&headers, body.as_bytes(), SystemTime::now())
        };
        let thread = thread::Builder::new().stack_size(256 << 10);
        let diagnosis = thread.spawn(diagnose).unwrap().join().unwrap();
        let names: Vec<_> = diagnosis.findings.iter().map(|it| it.name).collect();
        assert_eq!(names[..2], ["timestamp_stale", "nothing_matches"], "{name}");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(30), "{name} took {took:?}");
    }
}
