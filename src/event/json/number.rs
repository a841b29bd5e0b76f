use super::{read::Read, reader::Reader};

impl<K> Reader<'_, K> {
    /// Reads a number.
    #[inline]
    pub(super) fn number<T: Number>(&mut self) -> Option<T> {
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
            // Through an f64, as short numbers are: serde would round a whole number to an f32 directly.
            return serde_json::from_str(self.token()).ok().map(T::narrow);
        }
        self.skip_bytes(rest.len() - after.len());
        let mut number = exact(significand);
        if let Some(power) = POWERS_OF_TEN.get(places).filter(|_| places > 0) {
            // The significand and the power are exact, so the quotient is rounded once.
            number /= power;
        }
        Some(T::narrow(if unsigned.len() < rest.len() {
            -number
        } else {
            number
        }))
    }

    /// Reads a whole number of up to three digits, if a comma, bracket or brace follows it at once.
    #[inline]
    fn short_whole_number(&mut self) -> Option<u16> {
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
        self.skip_bytes(length);
        Some(number)
    }
}

/// Appends the leading digits of a text to a number; returns how many there are, the number, and the rest of the text.
///
/// The number is valid up to 19 digits.
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

impl<K> Read<K> for f32 {
    #[inline]
    fn read(json: &mut Reader<'_, K>) -> Option<Self> {
        // Nearly all such numbers are short and whole.
        match json.short_whole_number() {
            Some(number) => Some(number.into()),
            None => json.number(),
        }
    }

    /// Reads an array of numbers, with NaN for null, because leaving nulls out would shift the numbers after them.
    fn read_list(json: &mut Reader<'_, K>) -> Option<Vec<Self>> {
        let mut numbers = Vec::new();
        json.array(|json| {
            // The longest lists have millions of short whole numbers.
            while let Some(number) = json.short_whole_number() {
                json.push(&mut numbers, number.into())?;
                if !json.eat(",") {
                    return Some(());
                }
            }
            let number = match json.null() {
                true => Self::NAN,
                false => json.number()?,
            };
            json.push(&mut numbers, number)
        })?;
        json.fit(&mut numbers);
        Some(numbers)
    }
}

impl<K> Read<K> for f64 {
    #[inline]
    fn read(json: &mut Reader<'_, K>) -> Option<Self> {
        json.number()
    }
}

/// A type that numbers are read as.
pub(super) trait Number {
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
