use std::fmt;

use base64ct::Encoding as _;
use hmac::{Hmac, KeyInit};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Finding;
use super::text::{percent_decoded, trimmed, unquoted};
use crate::secret::WebhookSecret;

/// What is wrong with a secret as it was configured, or with how the sender used it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SecretFault {
    /// It is empty.
    Empty,
    /// It is nothing but white space.
    Blank,
    /// White space or something unseen is around it.
    Padded,
    /// `\n` is written out at its end.
    EscapedNewline,
    /// Quotes are around it.
    Quoted,
    /// The name of the setting is before it.
    Assigned,
    /// It is several secrets, and one of them signed.
    Listed,
    /// It begins with `whs_`, and the sender signs without.
    PrefixAdded,
    /// It does not begin with `whs_`, and should.
    PrefixMissing,
    /// Its letters should be lower case.
    UpperCase,
    /// It is percent-encoded.
    PercentEncoded,
    /// The sender signs with what its hex digits stand for.
    HexDecoded,
    /// The sender signs with what it stands for in base64.
    Base64Decoded,
    /// The sender signs with a line end after it.
    NewlineSigned,
    /// It does not look like one of pyannoteAI's: `whs_` and 32 hex digits.
    Unlike,
}

impl SecretFault {
    /// A word for it in snake case, which does not change.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "secret_empty",
            Self::Blank => "secret_blank",
            Self::Padded => "secret_padded",
            Self::EscapedNewline => "secret_escaped_newline",
            Self::Quoted => "secret_quoted",
            Self::Assigned => "secret_assigned",
            Self::Listed => "secret_listed",
            Self::PrefixAdded => "secret_prefix_added",
            Self::PrefixMissing => "secret_prefix_missing",
            Self::UpperCase => "secret_upper_case",
            Self::PercentEncoded => "secret_percent_encoded",
            Self::HexDecoded => "secret_hex_decoded",
            Self::Base64Decoded => "secret_base64_decoded",
            Self::NewlineSigned => "secret_newline_signed",
            Self::Unlike => "secret_unlike",
        }
    }
}

impl fmt::Display for SecretFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty: copy it from the pyannoteAI dashboard",
            Self::Blank => "is blank: copy it from the pyannoteAI dashboard",
            Self::Padded => "has white space or unseen characters around it: remove them",
            Self::EscapedNewline => "ends with a line end written out as `\\n`: remove that",
            Self::Quoted => "has quotes around it: remove them",
            Self::Assigned => "has the name of the setting before it: leave the value alone",
            Self::Listed => "is several secrets in one: put a comma, and nothing else, between them",
            Self::PrefixAdded => "begins with `whs_`, and the sender leaves that out: let it sign with all of the secret",
            Self::PrefixMissing => "lacks the `whs_` at its beginning: copy all of it from the dashboard",
            Self::UpperCase => "has letters in upper case: copy it as it stands in the dashboard",
            Self::PercentEncoded => "is percent-encoded: decode it",
            Self::HexDecoded => "is decoded from hex by the sender: let it sign with the characters as they stand",
            Self::Base64Decoded => "is decoded from base64 by the sender: let it sign with the characters as they stand",
            Self::NewlineSigned => "is used with a line end after it by the sender: let it remove that",
            Self::Unlike => "is not `whs_` and 32 hex digits, as pyannoteAI's are: compare it with the dashboard",
        })
    }
}

/// A key to try.
pub(super) struct Key {
    pub(super) index: usize,
    pub(super) fault: Option<SecretFault>,
    pub(super) hmac: Hmac<Sha256>,
}

/// Says why a receiver refuses to start with this secret.
pub(super) fn unusable(index: usize, secret: &[u8]) -> Option<Finding> {
    use crate::secret::SecretErrorKind as Kind;

    let kind = WebhookSecret::new(secret.to_vec()).err()?.kind();
    let fault = match kind {
        Kind::Empty => SecretFault::Empty,
        Kind::Blank => SecretFault::Blank,
        _ => SecretFault::Padded,
    };
    Some(Finding::Secret { index, fault })
}

/// Says that a secret is none of pyannoteAI's by its looks.
pub(super) fn unlike(index: usize, secret: &[u8]) -> Option<Finding> {
    let digits = secret.strip_prefix(PREFIX.as_bytes());
    let alike =
        digits.is_some_and(|digits| digits.len() == 32 && digits.iter().all(u8::is_ascii_hexdigit));
    (!alike).then_some(Finding::Secret {
        index,
        fault: SecretFault::Unlike,
    })
}

/// The secret itself, and what it may have been meant to be.
pub(super) fn keys(index: usize, secret: &[u8], with_faults: bool) -> Vec<Key> {
    let mut guesses = vec![(None, Zeroizing::new(secret.to_vec()))];
    if let (true, Ok(text)) = (with_faults, std::str::from_utf8(secret)) {
        guess(text, &mut |fault, key| {
            let key = Zeroizing::new(key);
            if !key.is_empty() && guesses.iter().all(|(_, known)| *known != key) {
                guesses.push((Some(fault), key));
            }
        });
    }
    let keys = guesses.into_iter().filter_map(|(fault, key)| {
        let hmac = Hmac::new_from_slice(&key).ok()?;
        Some(Key { index, fault, hmac })
    });
    keys.collect()
}

fn guess(secret: &str, found: &mut impl FnMut(SecretFault, Vec<u8>)) {
    let mut add = |fault, text: &str| found(fault, text.as_bytes().to_vec());
    let text = trimmed(secret);
    add(SecretFault::Padded, text);
    let ended = text.strip_suffix("\\n");
    let text = ended.map_or(text, |rest| rest.strip_suffix("\\r").unwrap_or(rest));
    add(SecretFault::EscapedNewline, text);
    let mut inner = text;
    if let Some(bare) = unquoted(inner) {
        inner = trimmed(bare);
        add(SecretFault::Quoted, bare);
        add(SecretFault::Quoted, inner);
    }
    if let Some((_, value)) = inner.split_once('=') {
        let value = trimmed(value);
        add(SecretFault::Assigned, value);
        add(SecretFault::Assigned, unquoted(value).unwrap_or(value));
    }
    let several = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|');
    for one in inner.split(several).take(MOST_LISTED) {
        add(SecretFault::Listed, one);
    }
    add(SecretFault::UpperCase, &inner.to_ascii_lowercase());
    let digits = inner.strip_prefix(PREFIX);
    match digits {
        Some(digits) => add(SecretFault::PrefixAdded, digits),
        None => add(SecretFault::PrefixMissing, &format!("{PREFIX}{inner}")),
    }
    add(SecretFault::NewlineSigned, &format!("{inner}\n"));
    if let Some(decoded) = percent_decoded(inner.as_bytes()) {
        found(SecretFault::PercentEncoded, decoded);
    }
    let digits = digits.or_else(|| inner.strip_prefix("whsec_"));
    let digits = digits.unwrap_or(inner);
    if let Ok(decoded) = base16ct::mixed::decode_vec(digits) {
        found(SecretFault::HexDecoded, decoded);
    }
    let unpadded = digits.trim_end_matches('=');
    if let Ok(decoded) = base64ct::Base64Unpadded::decode_vec(unpadded) {
        found(SecretFault::Base64Decoded, decoded);
    }
    if let Ok(decoded) = base64ct::Base64UrlUnpadded::decode_vec(unpadded) {
        found(SecretFault::Base64Decoded, decoded);
    }
}

const PREFIX: &str = "whs_";
const MOST_LISTED: usize = 4;
