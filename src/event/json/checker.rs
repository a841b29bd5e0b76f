//! A checker of JSON that takes a text in pieces and reports where the values near its root are.
//!
//! It accepts what RFC 8259 and `serde_json` accept, to any depth. It looks at nearly every byte once, whatever the pieces.

mod form;
mod nest;
mod numbers;
mod state;
mod watch;

pub(crate) use self::watch::Observer;
use self::{
    form::Form,
    nest::Nest,
    state::{Role, State},
    watch::Watch,
};
use super::bytes::{end_of_digits, end_of_plain, end_of_string, is_blank};

/// How far a text has been checked.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    at: usize,
    state: State,
    nest: Nest,
    form: Form,
    watch: Watch,
}

/// The text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

impl Checker {
    /// Returns the first byte that is not blank.
    pub(crate) fn root(&self) -> Option<u8> {
        self.watch.root
    }

    /// Checks on to the end of `text`, which begins with all the text of earlier calls.
    ///
    /// # Errors
    ///
    /// Returns [`NotJson`] at the first byte that no JSON text has there; the checker is of no use after it.
    pub(crate) fn advance(
        &mut self,
        text: &[u8],
        observer: &mut impl Observer,
    ) -> Result<(), NotJson> {
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
                            self.end_value(at, observer);
                            State::AfterValue
                        }
                        (b'"', Role::Key) => {
                            self.end_key(text, at, observer);
                            State::Colon
                        }
                        (b'\\', _) => State::Escape(role),
                        _ => return Err(NotJson),
                    };
                }
                State::AfterValue => {
                    at += 1;
                    match byte {
                        b',' if self.nest.is_empty() => return Err(NotJson),
                        b',' if self.nest.in_object() => state = State::Key,
                        b',' => {
                            state = State::Value;
                            match text.get(at) {
                                Some(b'0'..=b'9') => (at, state) = numbers::pass(text, at),
                                Some(b'{') if !self.watch.sees(self.nest.depth()) => {
                                    let end = self.form.pass(text, at, self.nest.depth());
                                    if let Some(end) = end {
                                        (at, state) = (end, State::AfterValue);
                                    }
                                }
                                _ => {}
                            }
                        }
                        b'}' | b']' => {
                            self.close(byte, at, observer)?;
                        }
                        _ if is_blank(byte) => {}
                        _ => return Err(NotJson),
                    }
                }
                State::Whole => match byte {
                    b'0'..=b'9' => at += 1,
                    b'.' => (at, state) = (at + 1, State::Point),
                    b'e' | b'E' => (at, state) = (at + 1, State::Exponent),
                    _ => {
                        self.end_value(at, observer);
                        state = State::AfterValue;
                    }
                },
                State::Value | State::FirstItem => match byte {
                    b']' if state == State::FirstItem => {
                        at += 1;
                        self.close(byte, at, observer)?;
                        state = State::AfterValue;
                    }
                    _ if is_blank(byte) => at += 1,
                    _ => {
                        let depth = self.nest.depth();
                        let reports_keys = self.watch.value_begins(depth, at, byte, observer);
                        at += 1;
                        state = match byte {
                            b'"' => match end_of_string(text, at) {
                                Some(end) => {
                                    at = end;
                                    self.end_value(at, observer);
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
                                if reports_keys {
                                    self.watch.descend(self.nest.depth());
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
                            _ => return Err(NotJson),
                        };
                    }
                },
                State::FirstKey | State::Key => match byte {
                    b'"' => {
                        self.watch.key_begins(at);
                        at += 1;
                        state = State::InString(Role::Key);
                        // Nearly all keys have no escape, and the colon follows at once.
                        if let Some(end) = end_of_string(text, at) {
                            at = end;
                            self.end_key(text, at, observer);
                            state = State::Colon;
                            if text.get(at) == Some(&b':') {
                                at += 1;
                                state = State::Value;
                            }
                        }
                    }
                    b'}' if state == State::FirstKey => {
                        at += 1;
                        self.close(byte, at, observer)?;
                        state = State::AfterValue;
                    }
                    _ if is_blank(byte) => at += 1,
                    _ => return Err(NotJson),
                },
                State::Colon => match byte {
                    b':' => (at, state) = (at + 1, State::Value),
                    _ if is_blank(byte) => at += 1,
                    _ => return Err(NotJson),
                },
                State::Zero | State::Fraction => match (byte, state) {
                    (b'0'..=b'9', State::Fraction) => at += 1,
                    (b'0'..=b'9', _) => return Err(NotJson),
                    (b'.', State::Zero) => (at, state) = (at + 1, State::Point),
                    (b'e' | b'E', _) => (at, state) = (at + 1, State::Exponent),
                    _ => {
                        self.end_value(at, observer);
                        state = State::AfterValue;
                    }
                },
                State::Minus => {
                    at += 1;
                    state = match byte {
                        b'0' => State::Zero,
                        b'1'..=b'9' => State::Whole,
                        _ => return Err(NotJson),
                    };
                }
                State::Point => match byte {
                    b'0'..=b'9' => (at, state) = (at + 1, State::Fraction),
                    _ => return Err(NotJson),
                },
                State::Exponent | State::ExponentSign => {
                    at += 1;
                    state = match byte {
                        b'0'..=b'9' => State::ExponentDigits,
                        b'+' | b'-' if state == State::Exponent => State::ExponentSign,
                        _ => return Err(NotJson),
                    };
                }
                State::ExponentDigits => match byte {
                    b'0'..=b'9' => at += 1,
                    _ => {
                        self.end_value(at, observer);
                        state = State::AfterValue;
                    }
                },
                State::Word(next) => {
                    let rest = state::WORDS.get(usize::from(next)..).unwrap_or_default();
                    if rest.first() != Some(&byte) {
                        return Err(NotJson);
                    }
                    at += 1;
                    state = State::Word(next + 1);
                    if rest.get(1) == Some(&b' ') {
                        self.end_value(at, observer);
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
                        _ => return Err(NotJson),
                    };
                }
                State::Hex(role, left) => {
                    if !byte.is_ascii_hexdigit() {
                        return Err(NotJson);
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

    /// Returns whether the text so far is a whole JSON text.
    pub(crate) fn is_whole(&self) -> bool {
        // A number may end with the text.
        let number = matches!(
            self.state,
            State::Zero | State::Whole | State::Fraction | State::ExponentDigits
        );
        self.nest.is_empty() && (number || self.state == State::AfterValue)
    }

    #[inline]
    fn end_key(&mut self, text: &[u8], at: usize, observer: &mut impl Observer) {
        self.watch.key_ends(self.nest.depth(), text, at, observer);
    }

    #[inline]
    fn end_value(&mut self, at: usize, observer: &mut impl Observer) {
        self.watch.value_ends(self.nest.depth(), at, observer);
    }

    #[inline]
    fn close(&mut self, byte: u8, at: usize, observer: &mut impl Observer) -> Result<(), NotJson> {
        let was_object = self.nest.pop().ok_or(NotJson)?;
        if byte != if was_object { b'}' } else { b']' } {
            return Err(NotJson);
        }
        self.end_value(at, observer);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
