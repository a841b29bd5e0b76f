use std::{fmt, str::FromStr};

/// The place of an event in the list: its time of receipt and its id. Later events have greater cursors.
///
/// `Display` writes a text of digits and one `-`, which [`str::parse`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InboxCursor {
    pub(crate) received_at: i64,
    pub(crate) id: i64,
}

impl fmt::Display for InboxCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.received_at, self.id)
    }
}

impl FromStr for InboxCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        // From the right, because times before 1970 are negative.
        let (received_at, id) = text.rsplit_once('-').ok_or(InvalidCursor)?;
        let parse = |number: &str| number.parse().map_err(|_| InvalidCursor);
        Ok(Self {
            received_at: parse(received_at)?,
            id: parse(id)?,
        })
    }
}

/// The error of a text that is not an [`InboxCursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCursor;

impl fmt::Display for InvalidCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the cursor is not two numbers joined by `-`: take it from an entry of the list",
        )
    }
}

impl std::error::Error for InvalidCursor {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        for (received_at, id) in [(1_767_225_600_123_456_789, 42), (-5, 1), (0, i64::MAX)] {
            let cursor = InboxCursor { received_at, id };
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "1-x",
            "99999999999999999999-1",
            "1-2-x",
        ] {
            assert_eq!(text.parse::<InboxCursor>(), Err(InvalidCursor), "{text}");
        }
    }
}
