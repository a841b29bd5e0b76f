use std::{borrow::Borrow, fmt, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

use super::json::{self, ALLOCATION};

/// A string that is cheap to clone. Up to 23 bytes are kept in place, without an allocation.
///
/// `Text` derefs to [`str`] and compares with strings directly.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(SmolStr);

impl Text {
    /// Borrows the text as a `str`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the heap that the text takes, in bytes.
    fn heap(&self) -> usize {
        if self.0.is_heap_allocated() {
            self.0.len() + ALLOCATION
        } else {
            0
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(SmolStr::new(text))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(SmolStr::from(text))
    }
}

string_like!(Text);
