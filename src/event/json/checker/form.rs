//! A fast way through lists of objects that have the same keys in the same order.
//!
//! The bytes that two such objects share are compared, eight at once. Only their numbers and strings are checked.

use crate::event::json::bytes::{eight_at, end_of_digits, end_of_plain, is_blank};

/// The form of the last object of a list: the bytes that stay the same, and where numbers and strings stand.
#[derive(Debug, Default)]
pub(super) struct Form {
    steps: Vec<Step>,
    /// The depth of the list.
    depth: usize,
    /// The start of the last object of the list that was tried.
    last: Option<usize>,
    credit: Credit,
}

/// Up to eight bytes that stay the same, and what follows them.
#[derive(Debug)]
struct Step {
    bytes: u64,
    mask: u64,
    length: usize,
    then: Then,
}

#[derive(Clone, Copy, Debug)]
enum Then {
    /// More bytes that stay the same, or the end.
    Bytes,
    Number,
    /// The contents of a string, without its closing quotation mark.
    String,
}

/// Why an object did not pass.
enum Stop {
    /// The object has another form from this place on.
    Other(usize),
    /// There is no form, or the text ends too early to compare.
    Short,
}

/// How many bytes may still be compared without success.
///
/// Objects that pass earn it, byte for byte. It bounds the extra time for lists whose form keeps changing.
#[derive(Debug)]
struct Credit(usize);

impl Default for Credit {
    fn default() -> Self {
        Self(MOST_CREDIT)
    }
}

impl Credit {
    fn earn(&mut self, bytes: usize) {
        self.0 = MOST_CREDIT.min(self.0.saturating_add(bytes));
    }

    /// Counts twice, because a failed comparison or a new form costs more than a pass saves.
    fn spend(&mut self, bytes: usize) {
        self.0 = self.0.saturating_sub(bytes.saturating_mul(2));
    }
}

impl Form {
    /// Passes objects that have the form of the one before, and the commas between them; returns the end of the last, if any
    /// passed.
    ///
    /// At `at` an object begins, after a comma, in a list at `depth`.
    #[inline]
    pub(super) fn pass(&mut self, text: &[u8], at: usize, depth: usize) -> Option<usize> {
        if self.credit.0 == 0 {
            return None;
        }
        if self.steps.is_empty() || self.depth != depth {
            self.learn(text, at, depth);
        }
        self.last = Some(at);
        let mut passed = None;
        let mut next = at;
        loop {
            match self.object(text, next) {
                Ok(end) => {
                    passed = Some(end);
                    self.credit.earn(end - next);
                    if text.get(end..end + 2) != Some(b",{") {
                        return passed;
                    }
                    next = end + 1;
                    self.last = Some(next);
                }
                Err(Stop::Other(at)) => {
                    self.credit.spend(at - next);
                    self.steps.clear();
                    return passed;
                }
                Err(Stop::Short) => return passed,
            }
        }
    }

    /// Takes the form of the object before `at`, if it is in the same list and simple enough.
    fn learn(&mut self, text: &[u8], at: usize, depth: usize) {
        self.steps.clear();
        let last = self.last.filter(|_| self.depth == depth);
        self.depth = depth;
        let Some(object) = last.and_then(|last| text.get(last..at - 1)) else {
            return;
        };
        self.credit.spend(object.len());
        if self.steps_of(object).is_none() {
            self.steps.clear();
        }
    }

    /// Appends the steps of a valid object; `None` if the text goes on after it, if it has too many steps or numbers, or if a
    /// string has an escape or a number an exponent.
    fn steps_of(&mut self, object: &[u8]) -> Option<()> {
        let mut same = 0;
        let mut at = 0;
        let mut before = 0;
        let mut depth = 0_usize;
        let mut list = 0;
        while let Some(&byte) = object.get(at) {
            if at > 0 && depth == 0 {
                return None;
            }
            match byte {
                b'"' => {
                    let end = end_of_plain(object, at + 1);
                    if before == b':' {
                        self.bytes(object.get(same..=at)?, Then::String)?;
                        same = end;
                    }
                    if object.get(end) != Some(&b'"') {
                        return None;
                    }
                    at = end + 1;
                }
                b'-' | b'0'..=b'9' => {
                    list = if before == b':' { 0 } else { list + 1 };
                    if list > MOST_NUMBERS {
                        return None;
                    }
                    self.bytes(object.get(same..at)?, Then::Number)?;
                    same = end_of_number(object, at)?;
                    at = same;
                    if let Some(b'e' | b'E') = object.get(at) {
                        return None;
                    }
                }
                _ => {
                    match byte {
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                    at += 1;
                }
            }
            if !is_blank(byte) {
                before = byte;
            }
        }
        self.bytes(object.get(same..)?, Then::Bytes)
    }

    fn bytes(&mut self, bytes: &[u8], then: Then) -> Option<()> {
        let eights = bytes.chunks(8);
        let last = eights.len().checked_sub(1)?;
        if self.steps.len() + eights.len() > MOST_STEPS {
            return None;
        }
        for (index, eight) in eights.enumerate() {
            let mut word = [0; 8];
            word.get_mut(..eight.len())?.copy_from_slice(eight);
            self.steps.push(Step {
                bytes: u64::from_le_bytes(word),
                mask: u64::MAX >> (64 - 8 * eight.len()),
                length: eight.len(),
                then: if index == last { then } else { Then::Bytes },
            });
        }
        Some(())
    }

    /// Returns the end of an object of this form that begins at `at`.
    #[inline]
    fn object(&self, text: &[u8], mut at: usize) -> Result<usize, Stop> {
        if self.steps.is_empty() {
            return Err(Stop::Short);
        }
        for step in &self.steps {
            let eight = eight_at(text, at).ok_or(Stop::Short)?;
            if (eight ^ step.bytes) & step.mask != 0 {
                return Err(Stop::Other(at));
            }
            at += step.length;
            match step.then {
                Then::Bytes => {}
                Then::Number => at = end_of_number(text, at).ok_or(Stop::Other(at))?,
                Then::String => at = end_of_plain(text, at),
            }
        }
        Ok(at)
    }
}

/// Returns the end of the number at `at`, an exponent left out; `None` if there is no number.
#[inline]
fn end_of_number(text: &[u8], at: usize) -> Option<usize> {
    let at = at + usize::from(text.get(at) == Some(&b'-'));
    let whole = end_of_digits(text, at);
    if whole == at || (text.get(at) == Some(&b'0') && whole > at + 1) {
        return None;
    }
    if text.get(whole) != Some(&b'.') {
        return Some(whole);
    }
    let end = end_of_digits(text, whole + 1);
    (end > whole + 1).then_some(end)
}

/// Longer forms are not learned.
const MOST_STEPS: usize = 64;

/// Forms with longer arrays of numbers are not learned, because these are faster to check in blocks.
const MOST_NUMBERS: usize = 8;

/// The credit at the start, and the most that can be earned, in bytes.
const MOST_CREDIT: usize = 16 << 10;
