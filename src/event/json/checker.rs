//! A checker of JSON that takes a text as it comes, piece by piece, and says where the values near its root stand.
//!
//! It accepts what RFC 8259 does, as `serde_json` does, to any depth. A byte is looked at a few times at
//! most, and mostly once, whatever the pieces.

use std::ops::Range;

use form::Form;

/// What is told of a value that stands at the root, or in an object that was asked for.
pub(in crate::event) trait Notes {
    /// A key was read, quotation marks included, of an object that is `depth` deep, the root being 1; says whether its
    /// value is wanted.
    fn key(&mut self, depth: usize, key: &[u8]) -> bool;

    /// A wanted value begins with this byte; says whether its own keys are to be told.
    fn value_begins(&mut self, depth: usize, with: u8) -> bool;

    /// A wanted value of the last key told at this depth, and where it stands.
    fn value(&mut self, depth: usize, at: Range<usize>);
}

/// How far a text has been checked.
#[derive(Debug)]
pub(in crate::event) struct Syntax {
    at: usize,
    state: State,
    nest: Nest,
    form: Form,
    begun_with: Option<u8>,
    /// How deep the objects go whose keys are told.
    told: usize,
    key_start: usize,
    /// Where the wanted values that are being read begin, by depth.
    wanted: [Option<usize>; TOLD],
}

/// A text is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::event) struct Fault;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Value,
    FirstItem,
    FirstKey,
    Key,
    Colon,
    AfterValue,
    InString(Role),
    Escape(Role),
    /// How many hexadecimal digits are to come.
    Hex(Role, u8),
    Minus,
    Zero,
    Whole,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
    /// Which byte of [`WORDS`] is to come.
    Word(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Key,
    Value,
}

impl Default for Syntax {
    fn default() -> Self {
        Self {
            at: 0,
            state: State::Value,
            nest: Nest::default(),
            form: Form::default(),
            begun_with: None,
            told: 1,
            key_start: 0,
            wanted: [None; TOLD],
        }
    }
}

impl Syntax {
    /// The first byte that is not white space.
    pub(in crate::event) fn begun_with(&self) -> Option<u8> {
        self.begun_with
    }

    /// Goes on to the end of `text`, which is all that has come so far.
    pub(in crate::event) fn advance(
        &mut self,
        text: &[u8],
        notes: &mut impl Notes,
    ) -> Result<(), Fault> {
        let mut at = self.at;
        let mut state = self.state;
        while let Some(&byte) = text.get(at) {
            match state {
                State::InString(role) => {
                    at = end_of_plain(text, at);
                    let Some(&byte) = text.get(at) else { break };
                    at += 1;
                    state = match (byte, role) {
                        (b'"', Role::Value) => {
                            self.end_value(at, notes);
                            State::AfterValue
                        }
                        (b'"', Role::Key) => {
                            self.end_key(text, at, notes);
                            State::Colon
                        }
                        (b'\\', _) => State::Escape(role),
                        _ => return Err(Fault),
                    };
                }
                State::AfterValue => {
                    at += 1;
                    match byte {
                        b',' if self.nest.is_empty() => return Err(Fault),
                        b',' if self.nest.in_object() => state = State::Key,
                        b',' => {
                            state = State::Value;
                            match text.get(at) {
                                Some(b'0'..=b'9') => (at, state) = numbers(text, at),
                                Some(b'{') if self.nest.depth > self.told => {
                                    if let Some(end) = self.form.pass(text, at, self.nest.depth) {
                                        (at, state) = (end, State::AfterValue);
                                    }
                                }
                                _ => {}
                            }
                        }
                        b'}' | b']' => {
                            self.close(byte)?;
                            self.end_value(at, notes);
                        }
                        _ if is_blank(byte) => {}
                        _ => return Err(Fault),
                    }
                }
                State::Whole => match byte {
                    b'0'..=b'9' => at += 1,
                    b'.' => (at, state) = (at + 1, State::Point),
                    b'e' | b'E' => (at, state) = (at + 1, State::Exponent),
                    _ => {
                        self.end_value(at, notes);
                        state = State::AfterValue;
                    }
                },
                State::Value | State::FirstItem => match byte {
                    b']' if state == State::FirstItem => {
                        at += 1;
                        self.close(byte)?;
                        self.end_value(at, notes);
                        state = State::AfterValue;
                    }
                    _ if is_blank(byte) => at += 1,
                    _ => {
                        let tells = self.begin_value(at, byte, notes);
                        at += 1;
                        state = match byte {
                            b'"' => match end_of_string(text, at) {
                                Some(end) => {
                                    at = end;
                                    self.end_value(at, notes);
                                    State::AfterValue
                                }
                                None => State::InString(Role::Value),
                            },
                            b'1'..=b'9' => {
                                at = end_of_digits(text, at);
                                match text.get(at..at + 2) {
                                    Some([b'.', b'0'..=b'9']) => {
                                        at = end_of_digits(text, at + 2);
                                        State::Fraction
                                    }
                                    _ => State::Whole,
                                }
                            }
                            b'{' => {
                                self.nest.push(true);
                                if tells {
                                    self.told = self.nest.depth;
                                }
                                State::FirstKey
                            }
                            b'[' => {
                                self.nest.push(false);
                                State::FirstItem
                            }
                            b'0' => State::Zero,
                            b'-' => State::Minus,
                            b't' => State::Word(1),
                            b'f' => State::Word(6),
                            b'n' => State::Word(12),
                            _ => return Err(Fault),
                        };
                    }
                },
                State::FirstKey | State::Key => match byte {
                    b'"' => {
                        self.key_start = at;
                        at += 1;
                        state = State::InString(Role::Key);
                        // Nearly all keys are plain, and the colon comes at once.
                        if let Some(end) = end_of_string(text, at) {
                            at = end;
                            self.end_key(text, at, notes);
                            state = State::Colon;
                            if text.get(at) == Some(&b':') {
                                at += 1;
                                state = State::Value;
                            }
                        }
                    }
                    b'}' if state == State::FirstKey => {
                        at += 1;
                        self.close(byte)?;
                        self.end_value(at, notes);
                        state = State::AfterValue;
                    }
                    _ if is_blank(byte) => at += 1,
                    _ => return Err(Fault),
                },
                State::Colon => match byte {
                    b':' => (at, state) = (at + 1, State::Value),
                    _ if is_blank(byte) => at += 1,
                    _ => return Err(Fault),
                },
                State::Zero | State::Fraction => match (byte, state) {
                    (b'0'..=b'9', State::Fraction) => at += 1,
                    (b'0'..=b'9', _) => return Err(Fault),
                    (b'.', State::Zero) => (at, state) = (at + 1, State::Point),
                    (b'e' | b'E', _) => (at, state) = (at + 1, State::Exponent),
                    _ => {
                        self.end_value(at, notes);
                        state = State::AfterValue;
                    }
                },
                State::Minus => {
                    at += 1;
                    state = match byte {
                        b'0' => State::Zero,
                        b'1'..=b'9' => State::Whole,
                        _ => return Err(Fault),
                    };
                }
                State::Point => match byte {
                    b'0'..=b'9' => (at, state) = (at + 1, State::Fraction),
                    _ => return Err(Fault),
                },
                State::Exponent | State::ExponentSign => {
                    at += 1;
                    state = match byte {
                        b'0'..=b'9' => State::ExponentDigits,
                        b'+' | b'-' if state == State::Exponent => State::ExponentSign,
                        _ => return Err(Fault),
                    };
                }
                State::ExponentDigits => match byte {
                    b'0'..=b'9' => at += 1,
                    _ => {
                        self.end_value(at, notes);
                        state = State::AfterValue;
                    }
                },
                State::Word(next) => {
                    let rest = WORDS.get(usize::from(next)..).unwrap_or_default();
                    if rest.first() != Some(&byte) {
                        return Err(Fault);
                    }
                    at += 1;
                    state = State::Word(next + 1);
                    if rest.get(1) == Some(&b' ') {
                        self.end_value(at, notes);
                        state = State::AfterValue;
                    }
                }
                State::Escape(role) => {
                    at += 1;
                    state = match byte {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                            State::InString(role)
                        }
                        b'u' => State::Hex(role, 4),
                        _ => return Err(Fault),
                    };
                }
                State::Hex(role, left) => {
                    if !byte.is_ascii_hexdigit() {
                        return Err(Fault);
                    }
                    at += 1;
                    state = match left - 1 {
                        0 => State::InString(role),
                        left => State::Hex(role, left),
                    };
                }
            }
        }
        self.at = at;
        self.state = state;
        Ok(())
    }

    /// Whether what has come is a whole text.
    pub(in crate::event) fn is_whole(&self) -> bool {
        // A number ends where the text does.
        let number = matches!(
            self.state,
            State::Zero | State::Whole | State::Fraction | State::ExponentDigits
        );
        self.nest.is_empty() && (number || self.state == State::AfterValue)
    }

    /// Notes that a value begins; returns whether its keys are to be told.
    #[inline]
    fn begin_value(&mut self, at: usize, byte: u8, notes: &mut impl Notes) -> bool {
        self.nest.depth <= self.told && self.begin_told_value(at, byte, notes)
    }

    #[inline]
    fn end_key(&mut self, text: &[u8], at: usize, notes: &mut impl Notes) {
        if self.nest.depth <= self.told {
            self.end_told_key(text, at, notes);
        }
    }

    #[inline]
    fn end_value(&mut self, at: usize, notes: &mut impl Notes) {
        if self.nest.depth <= self.told {
            self.end_told_value(at, notes);
        }
    }

    #[cold]
    fn begin_told_value(&mut self, at: usize, byte: u8, notes: &mut impl Notes) -> bool {
        let depth = self.nest.depth;
        if depth == 0 {
            self.begun_with = Some(byte);
            return true;
        }
        match self.wanted.get_mut(depth - 1) {
            Some(Some(start)) => {
                *start = at;
                notes.value_begins(depth, byte) && depth < TOLD
            }
            _ => false,
        }
    }

    #[cold]
    fn end_told_key(&mut self, text: &[u8], at: usize, notes: &mut impl Notes) {
        let depth = self.nest.depth;
        let key = text.get(self.key_start..at).unwrap_or_default();
        let wanted = notes.key(depth, key);
        if let Some(slot) = self.wanted.get_mut(depth - 1) {
            *slot = wanted.then_some(at);
        }
    }

    #[cold]
    fn end_told_value(&mut self, at: usize, notes: &mut impl Notes) {
        let depth = self.nest.depth;
        if depth == 0 {
            return;
        }
        // What was within is over.
        self.told = depth;
        if let Some(start) = self.wanted.get_mut(depth - 1).and_then(Option::take) {
            notes.value(depth, start..at);
        }
    }

    #[inline]
    fn close(&mut self, byte: u8) -> Result<(), Fault> {
        let opened = self.nest.pop().ok_or(Fault)?;
        match (opened, byte) {
            (true, b'}') | (false, b']') => Ok(()),
            _ => Err(Fault),
        }
    }
}

/// The objects and arrays that are open, a bit each.
#[derive(Debug, Default)]
struct Nest {
    depth: usize,
    /// The innermost, the last in the lowest bit; 1 is an object.
    bits: u64,
    outer: Vec<u64>,
}

impl Nest {
    #[inline]
    fn is_empty(&self) -> bool {
        self.depth == 0
    }

    #[inline]
    fn in_object(&self) -> bool {
        self.bits & 1 == 1
    }

    #[inline]
    fn push(&mut self, object: bool) {
        if self.depth % 64 == 0 {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(object);
        self.depth += 1;
    }

    #[inline]
    fn pop(&mut self) -> Option<bool> {
        self.depth = self.depth.checked_sub(1)?;
        let object = self.in_object();
        self.bits >>= 1;
        if self.depth % 64 == 0 {
            self.bits = self.outer.pop().unwrap_or_default();
        }
        Some(object)
    }
}

/// What may stand for itself, each with a blank after it.
const WORDS: &[u8] = b"true false null ";

#[inline]
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Where what needs no look in a string ends: at a quotation mark, a backslash or a control character.
#[inline]
pub(in crate::event) fn end_of_plain(text: &[u8], at: usize) -> usize {
    let mut end = at;
    // Most strings are short; a long one is looked through in blocks, as far as these are plain.
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

/// Where a string ends that is plain to its end, if that has come.
#[inline]
fn end_of_string(text: &[u8], at: usize) -> Option<usize> {
    let end = end_of_plain(text, at);
    (text.get(end) == Some(&b'"')).then_some(end + 1)
}

#[inline]
fn end_of_digits(text: &[u8], mut at: usize) -> usize {
    while let Some(b'0'..=b'9') = text.get(at) {
        at += 1;
    }
    at
}

#[inline]
pub(in crate::event) fn eight_at(text: &[u8], at: usize) -> Option<u64> {
    let eight = text.get(at..at + 8)?;
    Some(u64::from_le_bytes(eight.try_into().ok()?))
}

/// Which of eight bytes is the first with its highest bit set.
#[inline]
fn place(marked: u64) -> usize {
    usize::try_from(marked.trailing_zeros() / 8).unwrap_or_default()
}

/// The highest bit of each byte that is a quotation mark, a backslash or a control character; those above the lowest such
/// byte may be wrong.
#[inline]
fn marks(eight: u64) -> u64 {
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let quotation = zeros(eight ^ (ONES * 0x22));
    let backslash = zeros(eight ^ (ONES * 0x5c));
    let control = eight.wrapping_sub(ONES * 0x20) & !eight;
    (quotation | backslash | control) & ONES << 7
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Where a run of numbers and single commas ends, as far as it fills blocks, and in which state.
///
/// `at` is a number of an array, after a comma. A day's score curves are millions of such numbers: what a byte may be is
/// told from the three before it, in the same way for each byte of a block, which compilers turn into vector instructions.
/// Exponents, signs and fractions of more than two digits are left to the slow way.
fn numbers(text: &[u8], at: usize) -> (usize, State) {
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
            // A digit after a zero that begins a number.
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

const BLOCK: usize = 32;

/// How deep keys can be told.
const TOLD: usize = 2;

mod form;
#[cfg(test)]
mod tests;
