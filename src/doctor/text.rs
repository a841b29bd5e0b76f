//! What settings and headers have around them when they were copied.

/// Takes off one pair of quotes.
pub(super) fn unquoted(text: &str) -> Option<&str> {
    PAIRS
        .iter()
        .find_map(|&(open, close)| text.strip_prefix(open)?.strip_suffix(close))
}

/// Takes off white space and what no editor shows.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c.is_control() || UNSEEN.contains(&c))
}

/// Undoes percent-encoding, if there is any.
pub(super) fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let decoded: Vec<u8> = percent_encoding::percent_decode(text).collect();
    (decoded != text).then_some(decoded)
}

const PAIRS: [(char, char); 5] = [
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('\u{201c}', '\u{201d}'),
    ('<', '>'),
];
const UNSEEN: [char; 3] = ['\u{feff}', '\u{200b}', '\u{2060}'];
