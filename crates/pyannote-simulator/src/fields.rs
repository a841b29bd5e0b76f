use std::ops::RangeInclusive;

use reqwest::Url;
use serde_json::{Map, Value};

use crate::answer::FieldError;

/// Reads the fields of an object, and collects the errors. Null is the same as an absent field.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    within: String,
    errors: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(object: &'a Map<String, Value>) -> Self {
        Self {
            object,
            within: String::new(),
            errors: Vec::new(),
        }
    }

    pub(crate) fn finish(self) -> Result<(), Vec<FieldError>> {
        match self.errors.is_empty() {
            true => Ok(()),
            false => Err(self.errors),
        }
    }

    pub(crate) fn wrong(&mut self, field: &str, message: &str) {
        self.errors.push(FieldError {
            field: format!("{}{field}", self.within),
            message: message.to_owned(),
        });
    }

    pub(crate) fn text(&mut self, field: &str) -> Option<&'a str> {
        self.read(field, "must be a string", Value::as_str)
    }

    pub(crate) fn flag(&mut self, field: &str) -> bool {
        self.optional_flag(field).unwrap_or(false)
    }

    pub(crate) fn optional_flag(&mut self, field: &str) -> Option<bool> {
        self.read(field, "must be a boolean", Value::as_bool)
    }

    pub(crate) fn integer(&mut self, field: &str, range: RangeInclusive<u8>) -> Option<u8> {
        let (least, most) = (range.start(), range.end());
        let message = format!("must be a whole number from {least} to {most}");
        self.read(field, &message, |value| {
            let number = u8::try_from(value.as_u64()?).ok()?;
            range.contains(&number).then_some(number)
        })
    }

    /// Reads a number from 0 to 100 and rounds it up, because scores are whole numbers.
    pub(crate) fn percent(&mut self, field: &str) -> Option<u8> {
        self.read(field, "must be a number from 0 to 100", |value| {
            let number = value.as_f64()?;
            (0..=100).find(|whole| (0.0..=f64::from(*whole)).contains(&number))
        })
    }

    pub(crate) fn one_of(&mut self, field: &str, known: &[&'static str]) -> Option<&'static str> {
        let message = format!("must be one of {}", known.join(", "));
        self.read(field, &message, |value| {
            let value = value.as_str()?;
            known.iter().find(|known| **known == value).copied()
        })
    }

    pub(crate) fn web_url(&mut self, field: &str) -> Option<Url> {
        self.read(field, "must be a web address", |value| {
            let url = Url::parse(value.as_str()?).ok()?;
            matches!(url.scheme(), "http" | "https").then_some(url)
        })
    }

    /// Reads the key of a `media://` URL. The field is required.
    pub(crate) fn media_key(&mut self, field: &str) -> Option<&'a str> {
        let address = self.object.get(field).and_then(Value::as_str);
        let key = address.and_then(key_of_media);
        if key.is_none() {
            self.wrong(
                field,
                "must be media:// and a key of at most 247 characters a-z, A-Z, 0-9, - _ . /",
            );
        }
        key
    }

    pub(crate) fn items(&mut self, field: &str, count: RangeInclusive<usize>) -> &'a [Value] {
        let (least, most) = (count.start(), count.end());
        let message = format!("is required and must have {least} to {most} items");
        let items = self.object.get(field).and_then(Value::as_array);
        match items {
            Some(items) if count.contains(&items.len()) => items,
            _ => {
                self.wrong(field, &message);
                &[]
            }
        }
    }

    /// Reads the fields of an object within the object.
    pub(crate) fn within(&mut self, field: &str, read: impl FnOnce(&mut Self)) {
        if let Some(object) = self.read(field, "must be an object", Value::as_object) {
            let mut fields = Self {
                object,
                within: format!("{}{field}.", self.within),
                errors: Vec::new(),
            };
            read(&mut fields);
            self.errors.append(&mut fields.errors);
        }
    }

    fn read<T>(
        &mut self,
        field: &str,
        message: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.object.get(field).filter(|value| !value.is_null())?;
        let read = read(value);
        if read.is_none() {
            self.wrong(field, message);
        }
        read
    }
}

/// Returns the key of a valid `media://` URL.
pub(crate) fn key_of_media(url: &str) -> Option<&str> {
    let key = url.strip_prefix("media://")?;
    let is_valid = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    ((1..=247).contains(&key.len()) && key.chars().all(is_valid)).then_some(key)
}
