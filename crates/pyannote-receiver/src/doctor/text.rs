//! Removes what copying adds to a value, and decodes values.

use base64ct::{Base64Unpadded, Encoding as _};

/// Removes one pair of quotes.
pub(super) fn unquoted(text: &str) -> Option<&str> {
    let pairs = [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('<', '>')];
    let unquote = |(open, close)| text.strip_prefix(open)?.strip_suffix(close);
    pairs.into_iter().find_map(unquote)
}

/// Removes blanks, control characters and invisible characters from both ends.
pub(super) fn trimmed(text: &str) -> &str {
    let is_invisible = |c| matches!(c, '\u{feff}' | '\u{200b}' | '\u{2060}');
    text.trim_matches(|c: char| c.is_whitespace() || c.is_control() || is_invisible(c))
}

/// Decodes percent-encoding. Returns `None` if there is none.
pub(super) fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let decoded: Vec<u8> = percent_encoding::percent_decode(text).collect();
    (decoded != text).then_some(decoded)
}

/// Decodes either base64 alphabet, with or without padding.
pub(super) fn base64_decoded(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').replace('-', "+");
    Base64Unpadded::decode_vec(&text.replace('_', "/")).ok()
}
