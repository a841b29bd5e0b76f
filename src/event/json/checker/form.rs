//! Objects that follow one another in a list are mostly of one form: what is alike is compared, eight bytes at once, and only
//! the numbers and strings that differ are looked at.

use super::{eight_at, end_of_digits, end_of_plain, is_blank};

/// The form of the last object of a list.
#[derive(Debug, Default)]
pub(super) struct Form {
    steps: Vec<Step>,
    /// How deep the list is.
    depth: usize,
    /// Where the last object of it begins that was tried.
    last: Option<usize>,
    credit: Credit,
}

/// Up to eight bytes as they must come, and then what may differ.
#[derive(Debug)]
struct Step {
    bytes: u64,
    mask: u64,
    length: usize,
    then: Then,
}

#[derive(Clone, Copy, Debug)]
enum Then {
    /// More bytes as they must come.
    Bytes,
    Number,
    /// A string up to its closing quotation mark.
    String,
}

/// Why an object was not passed.
enum Stop {
    /// It is of another form, as is seen at this place.
    Other(usize),
    /// There is no form, or too little has come to tell.
    Short,
}

/// How many bytes may yet be looked at in vain, so that lists of ever another form cost little more than without it.
///
/// What is passed earns it, byte for byte.
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

    /// To compare in vain, or to learn, takes longer than what was passed had saved.
    fn spend(&mut self, bytes: usize) {
        self.0 = self.0.saturating_sub(bytes.saturating_mul(2));
    }
}

impl Form {
    /// Passes the objects from `at` on that are of the form of the one before, with the commas between them; returns where
    /// they end, which is after an object, if there are any.
    ///
    /// At `at` an object begins, after a comma, in a list that is `depth` deep.
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

    /// Takes the form of the object before `at`, if that is in the same list and simple.
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

    /// The steps of valid JSON that begins with an object; `None` if there is more than that, they are too many, or something
    /// in it is not plain.
    fn steps_of(&mut self, object: &[u8]) -> Option<()> {
        let mut alike = 0;
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
                        self.bytes(object.get(alike..=at)?, Then::String)?;
                        alike = end;
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
                    self.bytes(object.get(alike..at)?, Then::Number)?;
                    alike = end_of_number(object, at)?;
                    at = alike;
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
        self.bytes(object.get(alike..)?, Then::Bytes)
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

    /// Where an object of this form ends that begins at `at`.
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

/// Where a number ends that begins at `at`; `None` if there is none. One with an exponent is taken to end before that.
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

/// A form of more is left alone.
const MOST_STEPS: usize = 64;

/// Of an array of more numbers, which are faster to check in blocks, no form is taken.
const MOST_NUMBERS: usize = 8;

const MOST_CREDIT: usize = 16 << 10;
