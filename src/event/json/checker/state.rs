/// What the next byte may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Value,
    FirstItem,
    FirstKey,
    Key,
    Colon,
    AfterValue,
    InString(Role),
    Escape(Role),
    /// How many hexadecimal digits are missing.
    Hex(Role, u8),
    Minus,
    Zero,
    Whole,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
    /// The index in [`WORDS`] of the next byte.
    Word(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Key,
    Value,
}

/// The words that are values, each with a blank after it.
pub(super) const WORDS: &[u8] = b"true false null ";
