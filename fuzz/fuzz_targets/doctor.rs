//! The doctor reports `verified` exactly if the oracle accepts the delivery. It names a secret only if that secret signed the
//! delivery, and never prints a secret or a signature.
#![no_main]

// The program's own module. The receiver does not export its doctor.
#[allow(dead_code)]
#[path = "../../crates/pyannote-receiver/src/doctor/mod.rs"]
mod doctor;

use arbitrary::Arbitrary;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use tower_pyannote_fuzz::{NOW, SECRETS, accepts, base64, digest, hex, now};

use self::doctor::Doctor;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    setting: Option<&'a [u8]>,
    timestamp: Header<'a>,
    signature: Header<'a>,
    encoded: bool,
    headers: Vec<(u8, &'a [u8])>,
    signed_at: i16,
    signed_body: Option<&'a [u8]>,
    body: &'a [u8],
}

#[derive(Arbitrary, Debug)]
enum Header<'a> {
    Good,
    Around(&'a [u8], &'a [u8]),
    Twice,
    Other(&'a [u8]),
    None,
}

impl Header<'_> {
    fn values(&self, good: &[u8]) -> Vec<Vec<u8>> {
        match self {
            Self::Good => vec![good.to_vec()],
            Self::Around(before, after) => vec![[before, good, after].concat()],
            Self::Twice => vec![good.to_vec(); 2],
            Self::Other(other) => vec![other.to_vec()],
            Self::None => Vec::new(),
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let timestamp = NOW
        .saturating_add_signed(input.signed_at.into())
        .to_string();
    let digest = digest(
        SECRETS[0],
        timestamp.as_bytes(),
        input.signed_body.unwrap_or(input.body),
    );
    let signature = if input.encoded {
        base64(&digest)
    } else {
        hex(&digest)
    };
    let timestamps = input.timestamp.values(timestamp.as_bytes());
    let signatures = input.signature.values(signature.as_bytes());

    let mut headers = HeaderMap::new();
    let named = |name: &'static str, values: &[Vec<u8>]| {
        let values = values
            .iter()
            .map(|value| HeaderValue::from_bytes(value).ok());
        let values: Option<Vec<HeaderValue>> = values.collect();
        Some((HeaderName::from_static(name), values?))
    };
    let sent = [
        named("x-request-timestamp", &timestamps),
        named("x-signature", &signatures),
    ];
    for named in sent {
        // A receiver never sees an invalid header value.
        let Some((name, values)) = named else { return };
        for value in values {
            headers.append(name.clone(), value);
        }
    }
    for (name, value) in input.headers {
        let name = NAMES[usize::from(name) % NAMES.len()];
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }

    let mut doctor = match input.setting {
        Some(setting) => Doctor::from_setting(setting),
        None => Doctor::from_setting(SECRETS.join(",")),
    };
    doctor.work_limit = 256 << 10;
    let diagnosis = doctor.diagnose(&headers, input.body, now());
    assert!(!diagnosis.findings.is_empty());
    let proves = diagnosis.secret.is_some();
    let last = diagnosis.findings.last().map(|found| found.name);
    let is_explained = last == Some("matches_otherwise");
    assert_eq!(proves, diagnosis.is_verified() || is_explained);
    if input.setting.is_none() {
        let timestamps: Vec<&[u8]> = timestamps.iter().map(Vec::as_slice).collect();
        let signatures: Vec<&[u8]> = signatures.iter().map(Vec::as_slice).collect();
        let accepted = accepts(&timestamps, &signatures, input.body);
        assert_eq!(diagnosis.is_verified(), accepted, "{diagnosis}");
        assert!(diagnosis.secret.is_none_or(|index| index == 0));
        // A proven cause excludes `nothing_matches`.
        let mut names = diagnosis.findings.iter().map(|found| found.name);
        assert!(!proves || !names.any(|name| name == "nothing_matches"));
    }

    let printed = format!("{doctor:?} {diagnosis:?} {diagnosis}").to_lowercase();
    for secret in SECRETS {
        assert!(!printed.contains(&secret.to_lowercase()), "{printed}");
    }
    for signature in [hex(&digest), base64(&digest).to_lowercase()] {
        assert!(!printed.contains(&signature[..12]), "{printed}");
    }
});

const NAMES: [&str; 8] = [
    "content-length",
    "content-encoding",
    "x-webhook-signature",
    "webhook-signature",
    "x-timestamp",
    "webhook-timestamp",
    "signature",
    "date",
];
