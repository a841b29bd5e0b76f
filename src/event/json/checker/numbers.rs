use super::state::State;
use crate::event::json::bytes::BLOCK;

/// Passes whole blocks of numbers that single commas separate; returns where they end, and the state there.
///
/// At `at` a number of an array begins, after a comma. The longest lists have millions of such numbers. The three bytes
/// before a byte decide whether it is valid, by the same arithmetic for each byte of a block, which compilers turn into
/// vector instructions. A block with an exponent, a sign or a third decimal is left to the caller.
pub(super) fn pass(text: &[u8], at: usize) -> (usize, State) {
    let mut end = at;
    while let Some(window) = text.get(end - 3..end + BLOCK) {
        let mut fault = 0;
        for byte in 0..BLOCK {
            let [third, second, first, byte] = [0, 1, 2, 3].map(|offset| window[byte + offset]);
            let digit = |byte: u8| u8::from(byte.wrapping_sub(b'0') < 10);
            let is = |byte: u8, other: u8| u8::from(byte == other);
            let point = is(byte, b'.');
            let mark = point | is(byte, b',');
            fault |= (digit(byte) | mark) ^ 1;
            fault |= mark & (digit(first) ^ 1);
            // A second point, or a third digit after one.
            fault |= point & (is(second, b'.') | is(third, b'.'));
            fault |= digit(byte) & digit(first) & digit(second) & is(third, b'.');
            // A digit after a leading zero.
            fault |= digit(byte) & is(first, b'0') & is(second, b',');
        }
        if fault != 0 {
            break;
        }
        end += BLOCK;
    }
    let state = match text.get(end - 3..end).unwrap_or_default() {
        [_, _, b','] => State::Value,
        [_, _, b'.'] => State::Point,
        [_, b'.', _] | [b'.', b'0'..=b'9', _] => State::Fraction,
        [_, b',', b'0'] => State::Zero,
        _ => State::Whole,
    };
    (end, state)
}
