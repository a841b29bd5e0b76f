use hmac::{Hmac, KeyInit};
use sha2::Sha256;
use tower_pyannote::{WebhookSecret, verify::SecretErrorKind};
use zeroize::Zeroizing;

use super::Finding;
use super::causes::*;
use super::text::{base64_decoded, percent_decoded, trimmed, unquoted};

/// A key to try.
pub(super) struct Key {
    pub(super) index: usize,
    pub(super) cause: Option<Finding>,
    pub(super) hmac: Hmac<Sha256>,
}

fn finding(index: usize, cause: Cause) -> Finding {
    Finding::of(&format!("secret {}", index + 1), cause)
}

/// Returns why a receiver refuses to start with this secret.
pub(super) fn unusable(index: usize, secret: &[u8]) -> Option<Finding> {
    let cause = match WebhookSecret::new(secret.to_vec()).err()?.kind() {
        SecretErrorKind::Empty => SECRET_EMPTY,
        SecretErrorKind::Blank => SECRET_BLANK,
        _ => SECRET_PADDED,
    };
    Some(finding(index, cause))
}

/// Returns a finding if the secret does not look like one of pyannoteAI's.
pub(super) fn unlike(index: usize, secret: &[u8]) -> Option<Finding> {
    let digits = secret.strip_prefix(PREFIX.as_bytes()).unwrap_or_default();
    let is_alike = digits.len() == 32 && digits.iter().all(u8::is_ascii_hexdigit);
    (!is_alike).then(|| finding(index, SECRET_UNLIKE))
}

/// Returns the secret and, if `with_guesses`, the secrets it may have been copied or derived from.
pub(super) fn keys(index: usize, secret: &[u8], with_guesses: bool) -> Vec<Key> {
    let mut secrets = vec![(None, Zeroizing::new(secret.to_vec()))];
    if let (true, Ok(text)) = (with_guesses, std::str::from_utf8(secret)) {
        guess(text, &mut |cause, key| {
            let key = Zeroizing::new(key);
            if !key.is_empty() && secrets.iter().all(|(_, known)| *known != key) {
                secrets.push((Some(cause), key));
            }
        });
    }
    let keys = secrets.into_iter().filter_map(|(cause, secret)| {
        let cause = cause.map(|cause| finding(index, cause));
        let hmac = Hmac::new_from_slice(&secret).ok()?;
        Some(Key { index, cause, hmac })
    });
    keys.collect()
}

fn guess(secret: &str, add: &mut dyn FnMut(Cause, Vec<u8>)) {
    let text = trimmed(secret);
    add(SECRET_PADDED, text.into());
    let text = text.strip_suffix("\\n").unwrap_or(text);
    let text = text.strip_suffix("\\r").unwrap_or(text);
    add(SECRET_ESCAPED_NEWLINE, text.into());
    let bare = unquoted(text).unwrap_or(text);
    add(SECRET_QUOTED, bare.into());
    let inner = trimmed(bare);
    add(SECRET_QUOTED, inner.into());
    if let Some((_, value)) = inner.split_once('=') {
        let value = trimmed(value);
        add(SECRET_ASSIGNED, value.into());
        add(SECRET_ASSIGNED, unquoted(value).unwrap_or(value).into());
    }
    let separates = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|');
    for one in inner.split(separates).take(MAX_LISTED) {
        add(SECRET_LISTED, one.into());
    }
    add(SECRET_UPPER_CASE, inner.to_ascii_lowercase().into());
    let digits = inner.strip_prefix(PREFIX);
    match digits {
        Some(digits) => add(SECRET_PREFIX_ADDED, digits.into()),
        None => add(SECRET_PREFIX_MISSING, format!("{PREFIX}{inner}").into()),
    }
    add(SECRET_NEWLINE_SIGNED, format!("{inner}\n").into());
    if let Some(decoded) = percent_decoded(inner.as_bytes()) {
        add(SECRET_PERCENT_ENCODED, decoded);
    }
    let digits = digits.or_else(|| inner.strip_prefix("whsec_"));
    let digits = digits.unwrap_or(inner);
    if let Ok(decoded) = base16ct::mixed::decode_vec(digits) {
        add(SECRET_HEX_DECODED, decoded);
    }
    if let Some(decoded) = base64_decoded(digits) {
        add(SECRET_BASE64_DECODED, decoded);
    }
}

const PREFIX: &str = "whs_";
const MAX_LISTED: usize = 4;
