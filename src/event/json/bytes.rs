//! Searches in bytes of JSON, eight or more at once.

/// Returns whether JSON allows this byte between tokens.
#[inline]
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Returns the place of the next quotation mark, backslash or control character, else the end of the text.
#[inline]
pub(super) fn end_of_plain(text: &[u8], at: usize) -> usize {
    let mut end = at;
    // Most strings are short. Longer ones are searched in blocks.
    for _ in 0..8 {
        let Some(eight) = eight_at(text, end) else {
            break;
        };
        let marked = marks(eight);
        if marked != 0 {
            return end + place(marked);
        }
        end += 8;
    }
    end_of_long_plain(text, end)
}

fn end_of_long_plain(text: &[u8], mut end: usize) -> usize {
    let marked =
        |byte: u8| u8::from(byte == b'"') | u8::from(byte == b'\\') | u8::from(byte < b' ');
    while let Some(block) = text.get(end..end + BLOCK) {
        if block.iter().fold(0, |any, &byte| any | marked(byte)) != 0 {
            break;
        }
        end += BLOCK;
    }
    let rest = text.get(end..).unwrap_or_default();
    let length = rest.iter().position(|&byte| marked(byte) != 0);
    end + length.unwrap_or(rest.len())
}

/// Returns the place after a string's closing quotation mark, if the text has it and no escape comes before it.
#[inline]
pub(super) fn end_of_string(text: &[u8], at: usize) -> Option<usize> {
    let end = end_of_plain(text, at);
    (text.get(end) == Some(&b'"')).then_some(end + 1)
}

#[inline]
pub(super) fn end_of_digits(text: &[u8], mut at: usize) -> usize {
    while let Some(b'0'..=b'9') = text.get(at) {
        at += 1;
    }
    at
}

/// Returns eight bytes as a number, the first in its lowest bits.
#[inline]
pub(super) fn eight_at(text: &[u8], at: usize) -> Option<u64> {
    let eight = text.get(at..at + 8)?;
    Some(u64::from_le_bytes(eight.try_into().ok()?))
}

/// Returns the index of the first of eight bytes whose highest bit is set.
#[inline]
fn place(marked: u64) -> usize {
    usize::try_from(marked.trailing_zeros() / 8).unwrap_or_default()
}

/// Sets the highest bit of each byte that is a quotation mark, a backslash or a control character.
///
/// Only the first set bit is exact: a borrow may set bits of later bytes.
#[inline]
fn marks(eight: u64) -> u64 {
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let quotation = zeros(eight ^ (ONES * 0x22));
    let backslash = zeros(eight ^ (ONES * 0x5c));
    let control = eight.wrapping_sub(ONES * 0x20) & !eight;
    (quotation | backslash | control) & ONES << 7
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// How many bytes are searched at once, so that compilers emit vector instructions.
pub(super) const BLOCK: usize = 32;
