//! A reader of JSON text that was checked before.
//!
//! It takes half the instructions that serde's visitors take for the same types, because it does not check the syntax again,
//! compares whole keys, and has a short way for nearly all numbers and strings. It can also skip a value of any shape
//! that a repeated key replaces, while a visitor cannot continue after a value that it does not expect.

use std::borrow::Cow;

use super::{
    bytes::{eight_at, end_of_plain},
    heap::Heap,
    keys::LastKeys,
    string::string_lossy,
};

/// Valid JSON text, and how far it has been read.
pub(crate) struct Reader<'a, K> {
    /// Empty after [`give_up`](Self::give_up).
    json: &'a str,
    at: usize,
    pub(super) heap: Heap,
    pub(super) last_keys: LastKeys<'a, K>,
}

impl<'a, K> Reader<'a, K> {
    pub(super) fn new(json: &'a str, heap: Heap) -> Self {
        Self {
            json,
            at: 0,
            heap,
            last_keys: LastKeys::default(),
        }
    }

    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Returns the text that was read since `start`.
    pub(super) fn since(&self, start: usize) -> Option<&'a str> {
        self.json.get(start..self.at)
    }

    /// Takes heap, in bytes. Beyond the limit, the reader gives up.
    ///
    /// Call this before each allocation whose size depends on the text, or right after one that
    /// [`has_room`](Self::has_room) allowed.
    #[inline]
    pub(crate) fn take(&mut self, bytes: usize) -> Option<()> {
        self.has_room(bytes)?;
        self.heap.taken += bytes;
        Some(())
    }

    /// Checks the limit for heap that is freed before more is taken.
    #[inline]
    pub(crate) fn has_room(&mut self, bytes: usize) -> Option<()> {
        let has_room = self.heap.has_room(self.at, bytes);
        if !has_room {
            self.give_up();
        }
        has_room.then_some(())
    }

    /// Cuts off the text, so that everything that is being read fails at once.
    #[cold]
    pub(super) fn give_up(&mut self) {
        self.json = "";
    }

    pub(super) fn has_given_up(&self) -> bool {
        // No valid text is empty.
        self.json.is_empty()
    }

    /// Reads the value of a field by `read`. Skips a value of another shape, because a later field of the same name may replace
    /// it.
    #[inline]
    pub(super) fn field_with<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Field<T> {
        let nullable = |json: &mut Self| match json.null() {
            true => Some(None),
            false => read(json).map(Some),
        };
        self.attempt(nullable).ok_or_else(|| self.pass_over())
    }

    #[cold]
    fn pass_over(&mut self) -> OtherShape {
        // It fails only after the reader gave up, and then every other read fails too.
        let _ = self.skip();
        OtherShape
    }

    /// Reads something; if that fails, goes back to where it began.
    #[inline]
    pub(super) fn attempt<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let start = self.at;
        let read = read(self);
        if read.is_none() {
            self.at = start;
        }
        read
    }

    /// Reads an object; `entry` reads each key and value.
    #[inline]
    pub(crate) fn object(&mut self, entry: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.open(b'{', b'}', entry)
    }

    /// Reads a key and its colon.
    #[inline]
    pub(crate) fn key(&mut self) -> Option<Cow<'a, str>> {
        let key = self.string()?;
        self.expect(b':')?;
        Some(key)
    }

    /// Reads an array; `item` reads each item.
    #[inline]
    pub(super) fn array(&mut self, item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.open(b'[', b']', item)
    }

    /// Reads a string, with replacement characters for what is not valid Unicode.
    #[inline]
    pub(crate) fn string(&mut self) -> Option<Cow<'a, str>> {
        self.expect(b'"')?;
        let start = self.at;
        self.at = end_of_plain(self.json.as_bytes(), self.at);
        let text = self.json.get(start..self.at)?;
        if self.eat("\"") {
            return Some(Cow::Borrowed(text));
        }
        self.end_of_string()?;
        let token = self.json.get(start - 1..self.at)?;
        // The unescaped bytes, in a buffer that grows to twice their length; a string of them; and the copy that is kept.
        self.has_room(token.len().saturating_mul(4))?;
        string_lossy(token)
    }

    /// Reads null, if it comes next.
    #[inline]
    pub(super) fn null(&mut self) -> bool {
        let null = self.peek() == Some(b'n');
        if null {
            self.at += "null".len();
        }
        null
    }

    /// Skips `text`, if it comes next.
    #[inline]
    pub(crate) fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text.as_bytes());
        if found {
            self.at += text.len();
        }
        found
    }

    /// Does the same as [`eat`](Self::eat), faster if the compiler does not know `text`.
    #[inline]
    pub(super) fn eat_again(&mut self, text: &str) -> bool {
        let text = text.as_bytes();
        // Two words that overlap cost less than a call for so few bytes.
        let same = match text.len().checked_sub(8) {
            Some(last @ 0..=8) => [0, last]
                .iter()
                .all(|&at| eight_at(self.rest(), at) == eight_at(text, at)),
            _ => self.rest().starts_with(text),
        };
        if same {
            self.at += text.len();
        }
        same
    }

    /// Skips a value of any shape.
    pub(crate) fn skip(&mut self) -> Option<()> {
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

    /// Skips a value of any shape and returns its text.
    pub(super) fn raw(&mut self) -> Option<&'a str> {
        self.peek()?;
        let start = self.at;
        self.skip()?;
        self.json.get(start..self.at)
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
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.rest().first()? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        let found = self.peek()? == byte;
        self.at += usize::from(found);
        found.then_some(())
    }

    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.json.as_bytes().get(self.at..).unwrap_or_default()
    }

    #[inline]
    pub(super) fn skip_bytes(&mut self, count: usize) {
        self.at += count;
    }

    /// Reads the rest of a string and its closing quotation mark.
    fn end_of_string(&mut self) -> Option<()> {
        loop {
            self.at = end_of_plain(self.json.as_bytes(), self.at);
            if *self.rest().first()? == b'"' {
                self.at += 1;
                return Some(());
            }
            // A backslash and the byte that it escapes.
            self.at += 2;
        }
    }

    /// Reads a number, true, false or null.
    pub(super) fn token(&mut self) -> &'a str {
        let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t');
        let rest = self.rest();
        let start = self.at;
        self.at += rest.iter().position(ends).unwrap_or(rest.len());
        self.json.get(start..self.at).unwrap_or_default()
    }
}

/// The value of a field that was read last: `None` for null, an error for a value of another shape.
pub(crate) type Field<T> = Result<Option<T>, OtherShape>;

/// A value has another shape than its field.
pub(crate) struct OtherShape;
