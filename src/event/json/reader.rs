//! A reader of JSON text that is known to be valid, for outputs.
//!
//! It takes half the instructions that serde's visitors take for the same types: it need not check
//! the syntax again, compares whole keys, and reads numbers and strings the short way that nearly all
//! of them allow. It takes what they take, and more: where a key is there twice it can pass over a
//! first value of any shape, while a visitor can't go on after a value that it did not expect.

use std::borrow::Cow;

use super::{
    checker::{eight_at, end_of_plain},
    string as lossy,
};
use crate::event::{Label, label_map::LastMap};

/// A type that can be read from valid JSON text; `None` if the text has another shape.
pub(in crate::event) trait Scan: Sized {
    fn scan(json: &mut Scanner<'_>) -> Option<Self>;
}

/// Reads a whole text, and takes at most four bytes of heap for each byte of it, and 64 KiB.
pub(in crate::event) fn scan<T: Scan>(json: &str) -> Result<T, Unread> {
    let mut scanner = Scanner::new(json);
    T::scan(&mut scanner).ok_or(if scanner.has_given_up() {
        Unread::TooLarge
    } else {
        Unread::OtherShape
    })
}

/// Why a text was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::event) enum Unread {
    /// It has another shape.
    OtherShape,
    /// What was read of it takes more heap than it may.
    TooLarge,
}

/// What was read of a field: its value, no value for null, or that its value has another shape.
pub(in crate::event) type Field<T> = Result<Option<T>, OtherShape>;

/// A value has another shape than its field.
pub(in crate::event) struct OtherShape;

/// Valid JSON text, and how far it has been read.
pub(in crate::event) struct Scanner<'a> {
    /// Empty after [`give_up`](Self::give_up).
    json: &'a str,
    at: usize,
    /// The heap that is taken, in bytes.
    taken: usize,
    last_map: LastMap<'a>,
}

impl<'a> Scanner<'a> {
    pub(in crate::event) fn new(json: &'a str) -> Self {
        Self {
            json,
            at: 0,
            taken: 0,
            last_map: LastMap::default(),
        }
    }

    /// Takes heap, in bytes. Where that is more than the text up to here may take, nothing more is read.
    ///
    /// Whatever grows with the text takes its heap here, before it allocates or, if it was made to see how much it needs,
    /// after [`has_room`](Self::has_room) said so.
    #[inline]
    pub(in crate::event) fn take(&mut self, bytes: usize) -> Option<()> {
        self.has_room(bytes)?;
        self.taken += bytes;
        Some(())
    }

    /// Asks for heap that is given back before more is taken.
    #[inline]
    pub(in crate::event) fn has_room(&mut self, bytes: usize) -> Option<()> {
        let most = self.at.saturating_mul(HEAP_A_BYTE).saturating_add(FREE);
        if self.taken.saturating_add(bytes) > most {
            return self.give_up();
        }
        Some(())
    }

    /// Gives back heap that was taken.
    #[inline]
    pub(in crate::event) fn give_back(&mut self, bytes: usize) {
        self.taken -= bytes;
    }

    /// What is taken now, to be gone back to if what is read next is dropped.
    pub(in crate::event) fn taken(&self) -> usize {
        self.taken
    }

    pub(in crate::event) fn go_back_to(&mut self, taken: usize) {
        self.taken = taken;
    }

    /// Cuts off the text, so that all that is being read fails at once, and so does what would be read instead.
    #[cold]
    fn give_up(&mut self) -> Option<()> {
        self.json = "";
        None
    }

    /// No valid text is empty.
    fn has_given_up(&self) -> bool {
        self.json.is_empty()
    }

    /// Appends to a list.
    #[inline]
    pub(in crate::event) fn push<T>(&mut self, list: &mut Vec<T>, item: T) -> Option<()> {
        if list.len() == list.capacity() {
            self.grow(list)?;
        }
        list.push(item);
        Some(())
    }

    /// Makes room for half as many items again, not twice as many: the largest lists decide the peak of memory.
    fn grow<T>(&mut self, list: &mut Vec<T>) -> Option<()> {
        let more = (list.len() / 2).max(LEAST_ROOM / size_of::<T>());
        self.take(more.saturating_mul(size_of::<T>()))?;
        list.reserve_exact(more);
        Some(())
    }

    /// Gives back what a list that is whole does not need.
    pub(in crate::event) fn fit<T>(&mut self, list: &mut Vec<T>) {
        self.give_back((list.capacity() - list.len()) * size_of::<T>());
        list.shrink_to_fit();
    }

    /// Reads a value or null.
    #[inline]
    pub(in crate::event) fn nullable<T: Scan>(&mut self) -> Option<Option<T>> {
        if self.null() {
            return Some(None);
        }
        T::scan(self).map(Some)
    }

    /// Reads null, if that comes next.
    #[inline]
    pub(in crate::event) fn null(&mut self) -> bool {
        let null = self.peek() == Some(b'n');
        if null {
            self.at += "null".len();
        }
        null
    }

    /// Reads the value of a field.
    ///
    /// A value of another shape is passed over: it counts only if its key does not come again.
    #[inline]
    pub(in crate::event) fn field<T: Scan>(&mut self) -> Field<T> {
        self.attempt(Self::nullable).ok_or_else(|| self.pass_over())
    }

    #[cold]
    fn pass_over(&mut self) -> OtherShape {
        // It fails where the text ends, and then nothing more can be read either.
        let _ = self.skip();
        OtherShape
    }

    /// Reads something, or goes back to where it would have begun.
    #[inline]
    pub(in crate::event) fn attempt<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let start = self.at;
        let read = read(self);
        if read.is_none() {
            self.at = start;
        }
        read
    }

    /// Reads an object, calling `entry` to read each key and value.
    #[inline]
    pub(in crate::event) fn object(
        &mut self,
        entry: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.open(b'{', b'}', entry)
    }

    /// Reads a key and the colon after it.
    #[inline]
    pub(in crate::event) fn key(&mut self) -> Option<Cow<'a, str>> {
        let key = self.string()?;
        self.expect(b':')?;
        Some(key)
    }

    /// Reads a key that is a label, and the colon after it; returns how both stand in the text, too.
    pub(in crate::event) fn label(&mut self) -> Option<(Label, &'a str)> {
        let start = self.at;
        let label = Label::scan(self)?;
        self.expect(b':')?;
        Some((label, self.json.get(start..self.at)?))
    }

    pub(in crate::event) fn last_map(&mut self) -> &mut LastMap<'a> {
        &mut self.last_map
    }

    /// Skips what comes next if it is exactly `text`.
    #[inline]
    pub(in crate::event) fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text.as_bytes());
        if found {
            self.at += text.len();
        }
        found
    }

    /// Does what [`eat`](Self::eat) does, faster for what is not known before it is read.
    #[inline]
    pub(in crate::event) fn eat_again(&mut self, text: &str) -> bool {
        let text = text.as_bytes();
        // Two words that overlap take less than a call for so few bytes.
        let alike = match text.len().checked_sub(8) {
            Some(last @ 0..=8) => [0, last]
                .iter()
                .all(|&at| eight_at(self.rest(), at) == eight_at(text, at)),
            _ => self.rest().starts_with(text),
        };
        if alike {
            self.at += text.len();
        }
        alike
    }

    /// Reads an array, calling `item` to read each item.
    #[inline]
    pub(in crate::event) fn array(
        &mut self,
        item: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.open(b'[', b']', item)
    }

    /// Reads an array, leaving out the nulls in it.
    pub(in crate::event) fn items<T: Scan>(&mut self) -> Option<Vec<T>> {
        let mut items = Vec::new();
        self.array(|json| {
            if !json.null() {
                let item = T::scan(json)?;
                json.push(&mut items, item)?;
            }
            Some(())
        })?;
        self.fit(&mut items);
        Some(items)
    }

    /// Reads a string, with replacement characters for what is not valid Unicode.
    #[inline]
    pub(in crate::event) fn string(&mut self) -> Option<Cow<'a, str>> {
        self.expect(b'"')?;
        let start = self.at;
        self.at = end_of_plain(self.json.as_bytes(), self.at);
        let text = self.json.get(start..self.at)?;
        if self.eat("\"") {
            return Some(Cow::Borrowed(text));
        }
        self.end_of_string()?;
        let token = self.json.get(start - 1..self.at)?;
        // The bytes without escapes while they grow to up to twice of it, a string of them, and the copy that is kept.
        self.has_room(token.len().saturating_mul(4))?;
        lossy::string(token).map(Cow::Owned)
    }

    /// Reads a number.
    #[inline]
    pub(in crate::event) fn number<T: Number>(&mut self) -> Option<T> {
        self.peek()?;
        let rest = self.rest();
        let unsigned = rest.strip_prefix(b"-").unwrap_or(rest);
        let (whole, mut significand, mut after) = digits(unsigned, 0);
        let mut places = 0;
        if let [b'.', fraction @ ..] = after {
            (places, significand, after) = digits(fraction, significand);
        }
        let short = whole > 0 && whole + places <= 15 && !matches!(after, [b'e' | b'E', ..]);
        if !short {
            // As an f64 first, which the short ones are as well: serde rounds a whole number to an f32 at once.
            return serde_json::from_str(self.token()).ok().map(T::narrow);
        }
        self.at += rest.len() - after.len();
        let mut number = exact(significand);
        if let Some(power) = POWERS_OF_TEN.get(places).filter(|_| places > 0) {
            // Such a significand and such a power are exact, and their quotient is rounded once.
            number /= power;
        }
        Some(T::narrow(if unsigned.len() < rest.len() {
            -number
        } else {
            number
        }))
    }

    /// Reads a whole number of up to three digits, if that comes next and is followed at once by a comma, bracket or brace.
    #[inline]
    pub(in crate::event) fn short_whole_number(&mut self) -> Option<u16> {
        let value = |digit: u8| u16::from(digit - b'0');
        let (number, length) = match *self.rest() {
            [a @ b'0'..=b'9', b',' | b']' | b'}', ..] => (value(a), 1),
            [a @ b'0'..=b'9', b @ b'0'..=b'9', b',' | b']' | b'}', ..] => {
                (10 * value(a) + value(b), 2)
            }
            [
                a @ b'0'..=b'9',
                b @ b'0'..=b'9',
                c @ b'0'..=b'9',
                b',' | b']' | b'}',
                ..,
            ] => (100 * value(a) + 10 * value(b) + value(c), 3),
            _ => return None,
        };
        self.at += length;
        Some(number)
    }

    /// Skips a value of any shape.
    pub(in crate::event) fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'{' | b'[' => {
                    self.at += 1;
                    depth += 1;
                }
                b'}' | b']' => {
                    self.at += 1;
                    depth = depth.checked_sub(1)?;
                }
                b'"' => {
                    self.at += 1;
                    self.end_of_string()?;
                }
                b',' | b':' => self.at += 1,
                _ => {
                    self.token();
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    #[inline]
    fn open(
        &mut self,
        open: u8,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.expect(open)?;
        if self.peek()? == close {
            self.at += 1;
            return Some(());
        }
        loop {
            self.peek()?;
            item(self)?;
            let next = self.peek()?;
            self.at += 1;
            if next == close {
                return Some(());
            }
            if next != b',' {
                return None;
            }
        }
    }

    /// Skips white space and returns the byte after it.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.rest().first()? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        let found = self.peek()? == byte;
        self.at += usize::from(found);
        found.then_some(())
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.json.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Reads what is left of a string, up to its closing quotation mark.
    fn end_of_string(&mut self) -> Option<()> {
        loop {
            self.at = end_of_plain(self.json.as_bytes(), self.at);
            if *self.rest().first()? == b'"' {
                self.at += 1;
                return Some(());
            }
            self.at += 2;
        }
    }

    /// Reads a number, true, false or null, up to what may follow it.
    fn token(&mut self) -> &'a str {
        let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t');
        let rest = self.rest();
        let start = self.at;
        self.at += rest.iter().position(ends).unwrap_or(rest.len());
        self.json.get(start..self.at).unwrap_or_default()
    }
}

/// Appends digits to a number; returns how many, the number, and what comes after them.
///
/// The number is of no use after more than 19 digits.
#[inline]
fn digits(text: &[u8], mut number: u64) -> (usize, u64, &[u8]) {
    let mut after = text;
    while let [digit @ b'0'..=b'9', tail @ ..] = after {
        number = number
            .wrapping_mul(10)
            .wrapping_add(u64::from(digit - b'0'));
        after = tail;
    }
    (text.len() - after.len(), number, after)
}

/// A type of number that a score or time is kept as.
pub(in crate::event) trait Number {
    fn narrow(number: f64) -> Self;
}

impl Number for f64 {
    #[inline]
    fn narrow(number: f64) -> Self {
        number
    }
}

impl Number for f32 {
    #[cfg_attr(
        not(test),
        expect(clippy::as_conversions, reason = "only a cast rounds an f64 to an f32")
    )]
    #[inline]
    fn narrow(number: f64) -> Self {
        number as Self
    }
}

#[cfg_attr(
    not(test),
    expect(clippy::as_conversions, reason = "up to 15 digits are exact in an f64")
)]
#[inline]
fn exact(significand: u64) -> f64 {
    significand as f64
}

const POWERS_OF_TEN: [f64; 16] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// How much heap a byte of text may take. A turn or a word takes up to 2, in a list that has just grown; a score of one digit
/// and its comma take 3; with names instead of numbered speakers it is a little more.
const HEAP_A_BYTE: usize = 4;

/// The heap that a short text may take, of the 64 KiB that are documented: some of what does not grow with the text is not
/// counted.
const FREE: usize = 60 << 10;

/// The room that a list begins with, in bytes.
const LEAST_ROOM: usize = 1 << 10;

/// What an allocation takes beside its bytes: two counts if it is shared, and the allocator's own.
pub(in crate::event) const ALLOCATION: usize = 32;

impl Scan for f32 {
    #[inline]
    fn scan(json: &mut Scanner<'_>) -> Option<Self> {
        // Nearly all scores are such.
        match json.short_whole_number() {
            Some(number) => Some(number.into()),
            None => json.number(),
        }
    }
}

impl Scan for f64 {
    #[inline]
    fn scan(json: &mut Scanner<'_>) -> Option<Self> {
        json.number()
    }
}
