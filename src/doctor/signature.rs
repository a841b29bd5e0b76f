use std::fmt;

use base64ct::Encoding as _;
use http::HeaderMap;

use super::text::{percent_decoded, trimmed, unquoted};
use crate::headers::SIGNATURE;
use crate::signature::Signature;

/// What is wrong with how a signature is written or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureFault {
    /// There is no `X-Signature`.
    Missing,
    /// There is no `X-Signature`, and a header of another name holds a signature.
    Renamed,
    /// There are several `X-Signature`.
    #[non_exhaustive]
    Repeated {
        /// How many there are.
        count: usize,
    },
    /// White space is around it.
    Padded,
    /// Quotes are around it.
    Quoted,
    /// Several values were joined into one.
    Joined,
    /// It has another prefix than `v0=`.
    Prefixed,
    /// It has `v0=` more than once.
    PrefixRepeated,
    /// It is percent-encoded.
    PercentEncoded,
    /// A `+` of its base64 became a blank.
    PlusLost,
    /// Its hex digits are parted by blanks, colons or dashes.
    Separated,
    /// It is in the base64 of URLs, with `-` and `_`.
    Base64Url,
    /// It is hex written in base64, or base64 written in hex.
    DoublyEncoded,
    /// It is empty.
    Empty,
    /// It has another length than 64 hex digits or 44 or 43 characters of base64.
    #[non_exhaustive]
    Length {
        /// How many bytes it has, without `v0=`.
        length: usize,
    },
    /// It has the right length, but is neither hex nor base64.
    Characters,
}

impl SignatureFault {
    /// A word for it in snake case, which does not change.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "signature_missing",
            Self::Renamed => "signature_renamed",
            Self::Repeated { .. } => "signature_repeated",
            Self::Padded => "signature_padded",
            Self::Quoted => "signature_quoted",
            Self::Joined => "signature_joined",
            Self::Prefixed => "signature_prefixed",
            Self::PrefixRepeated => "signature_prefix_repeated",
            Self::PercentEncoded => "signature_percent_encoded",
            Self::PlusLost => "signature_plus_lost",
            Self::Separated => "signature_separated",
            Self::Base64Url => "signature_base64url",
            Self::DoublyEncoded => "signature_doubly_encoded",
            Self::Empty => "signature_empty",
            Self::Length { .. } => "signature_length",
            Self::Characters => "signature_characters",
        }
    }
}

impl fmt::Display for SignatureFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::Missing => "there is no x-signature header: see that the proxy forwards it",
            Self::Renamed => {
                "there is no x-signature header, but one of another name holds a signature: let the proxy keep the name"
            }
            Self::Repeated { count } => {
                return write!(
                    f,
                    "there are {count} x-signature headers: let one reach the receiver"
                );
            }
            Self::Padded => "the x-signature header has white space around it: remove it",
            Self::Quoted => "the x-signature header has quotes around it: remove them",
            Self::Joined => {
                "the x-signature header holds several values: find who joins or folds headers"
            }
            Self::Prefixed => {
                "the x-signature header has another prefix than `v0=`: send the signature alone"
            }
            Self::PrefixRepeated => "the x-signature header has `v0=` more than once: send it once",
            Self::PercentEncoded => "the x-signature header is percent-encoded: decode it",
            Self::PlusLost => {
                "a `+` in the x-signature header became a blank: find who decodes it as a form"
            }
            Self::Separated => {
                "the hex digits of the x-signature header are parted: send them without blanks, colons or dashes"
            }
            Self::Base64Url => {
                "the x-signature header is in the base64 of URLs: send the standard one, or hex"
            }
            Self::DoublyEncoded => {
                "the x-signature header is encoded twice, in hex and in base64: encode the digest once"
            }
            Self::Empty => "the x-signature header is empty: see what the proxy makes of it",
            Self::Length { length } => return wrong_length(length, f),
            Self::Characters => {
                "the x-signature header has the right length but is neither hex nor base64: see what the proxy makes of it"
            }
        })
    }
}

fn wrong_length(length: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let other = match length {
        28 | 40 => Some("SHA-1"),
        56 => Some("SHA-224"),
        96 => Some("SHA-384"),
        88 | 128 => Some("SHA-512"),
        24 | 32 => Some("MD5"),
        _ => None,
    };
    write!(
        f,
        "the x-signature header has {length} characters where 64 hex digits or 44 of base64 belong: "
    )?;
    match other {
        Some(hash) => write!(f, "that is the length of {hash}; sign with HMAC-SHA256"),
        None => f.write_str("see who cuts or extends it"),
    }
}

/// What the headers hold of signatures.
pub(super) struct Signatures {
    pub(super) faults: Vec<SignatureFault>,
    pub(super) digests: Vec<Signature>,
}

pub(super) fn read(headers: &HeaderMap) -> Signatures {
    let mut read = Signatures {
        faults: Vec::new(),
        digests: Vec::new(),
    };
    let values = headers.get_all(&SIGNATURE);
    let count = values.iter().count();
    if count == 0 {
        let others = OTHER_NAMES.iter().find_map(|name| headers.get(*name));
        read.faults.push(match others {
            Some(_) => SignatureFault::Renamed,
            None => SignatureFault::Missing,
        });
        others
            .into_iter()
            .for_each(|value| read.value(value.as_bytes()));
    }
    if count > 1 {
        read.faults.push(SignatureFault::Repeated { count });
    }
    for value in values.iter().take(MOST_VALUES) {
        read.value(value.as_bytes());
    }
    read
}

impl Signatures {
    fn value(&mut self, value: &[u8]) {
        if let Ok(signature) = Signature::parse(value) {
            return self.digests.push(signature);
        }
        let text = String::from_utf8_lossy(value);
        if let Some(signature) = self.repaired(&text) {
            return self.digests.push(signature);
        }
        let text = trimmed(&text);
        let parts = text.split([',', ';', ' ', '\t', '=']);
        let signatures: Vec<Signature> = parts
            .filter_map(|part| Signature::parse(trimmed(part).as_bytes()).ok())
            .take(MOST_VALUES)
            .collect();
        let digits = text.strip_prefix("v0=").unwrap_or(text).len();
        self.faults.push(match digits {
            _ if !signatures.is_empty() => SignatureFault::Joined,
            0 => SignatureFault::Empty,
            43 | 44 | 64 => SignatureFault::Characters,
            length => SignatureFault::Length { length },
        });
        self.digests.extend(signatures);
    }

    /// Undoes one fault after the other, until it is a signature.
    fn repaired(&mut self, value: &str) -> Option<Signature> {
        let mut text = value.to_owned();
        let mut faults = Vec::new();
        for (fault, undo) in REPAIRS {
            let Some(undone) = undo(&text) else {
                continue;
            };
            text = undone;
            faults.push(fault);
            if let Ok(signature) = Signature::parse(text.as_bytes()) {
                self.faults.extend(faults);
                return Some(signature);
            }
        }
        None
    }
}

type Undo = fn(&str) -> Option<String>;

const REPAIRS: [(SignatureFault, Undo); 9] = [
    (SignatureFault::Padded, |text| {
        let inner = trimmed(text);
        (inner != text).then(|| inner.to_owned())
    }),
    (SignatureFault::Quoted, |text| {
        unquoted(text).map(str::to_owned)
    }),
    (SignatureFault::PrefixRepeated, |text| {
        let rest = text.strip_prefix("v0=")?.trim_start_matches("v0=");
        text.starts_with("v0=v0=").then(|| rest.to_owned())
    }),
    (SignatureFault::Prefixed, |text| {
        let is_prefix = |prefix: &&str| {
            let start = text.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let prefix = OTHER_PREFIXES.iter().find(|prefix| is_prefix(prefix))?;
        Some(trimmed(text.get(prefix.len()..)?).to_owned())
    }),
    (SignatureFault::PercentEncoded, |text| {
        String::from_utf8(percent_decoded(text.as_bytes())?).ok()
    }),
    (SignatureFault::Separated, |text| {
        let digits = text
            .strip_prefix("v0=")
            .unwrap_or(text)
            .replace([' ', ':', '-', '\t'], "");
        (digits.len() == 64).then_some(digits)
    }),
    (SignatureFault::PlusLost, |text| {
        text.contains(' ').then(|| text.replace(' ', "+"))
    }),
    (SignatureFault::Base64Url, |text| {
        let standard = text.replace('-', "+").replace('_', "/");
        (standard != text).then_some(standard)
    }),
    (SignatureFault::DoublyEncoded, |text| {
        let text = text.strip_prefix("v0=").unwrap_or(text);
        let unpadded = text.trim_end_matches('=');
        let inner = base16ct::mixed::decode_vec(text)
            .ok()
            .or_else(|| base64ct::Base64Unpadded::decode_vec(unpadded).ok())?;
        String::from_utf8(inner).ok()
    }),
];

const OTHER_PREFIXES: [&str; 12] = [
    "sha256=",
    "sha256:",
    "sha-256=",
    "hmac-sha256=",
    "hmac-sha256 ",
    "hmac ",
    "bearer ",
    "v0:",
    "v0 ",
    "v0,",
    "v1=",
    "v1,",
];
const OTHER_NAMES: [&str; 11] = [
    "x_signature",
    "x-signature-256",
    "x-signature-sha256",
    "x-hub-signature-256",
    "x-pyannote-signature",
    "x-webhook-signature",
    "x-original-signature",
    "x-forwarded-signature",
    "webhook-signature",
    "signature",
    "http_x_signature",
];
const MOST_VALUES: usize = 4;
