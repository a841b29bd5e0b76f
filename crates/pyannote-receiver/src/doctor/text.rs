//! What values have around them when they were copied, and how they are encoded.

use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding as _};

/// Takes off one pair of quotes.
pub(super) fn unquoted(text: &str) -> Option<&str> {
    let pairs = [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('<', '>')];
    let mut inner = pairs
        .iter()
        .map(|&(open, close)| text.strip_prefix(open)?.strip_suffix(close));
    inner.find_map(|inner| inner)
}

/// Takes off blanks and what no editor shows.
pub(super) fn trimmed(text: &str) -> &str {
    let is_unseen = |c| matches!(c, '\u{feff}' | '\u{200b}' | '\u{2060}');
    text.trim_matches(|c: char| c.is_whitespace() || c.is_control() || is_unseen(c))
}

/// Undoes percent-encoding, if there is any.
pub(super) fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let decoded: Vec<u8> = percent_encoding::percent_decode(text).collect();
    (decoded != text).then_some(decoded)
}

/// Decodes either alphabet, with or without padding.
pub(super) fn base64_decoded(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let standard = Base64Unpadded::decode_vec(text);
    standard
        .or_else(|_| Base64UrlUnpadded::decode_vec(text))
        .ok()
}
