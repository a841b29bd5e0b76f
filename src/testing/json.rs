use std::fmt::{Arguments, Write};

use bytes::Bytes;

/// A JSON text under construction. Takes integers only, because formatting floats would slow down a day's curves.
#[derive(Default)]
pub(super) struct Json(String);

impl Json {
    pub(super) fn push(&mut self, json: &str) {
        self.0.push_str(json);
    }

    pub(super) fn reserve(&mut self, bytes: usize) {
        self.0.reserve(bytes);
    }

    pub(super) fn separate(&mut self, first: bool) {
        if !first {
            self.push(",");
        }
    }

    pub(super) fn drop_comma(&mut self) {
        self.0.pop();
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn text(&mut self, text: &str) {
        self.push(&quoted(text));
    }

    pub(super) fn number(&mut self, number: u8) {
        self.write(format_args!("{number}"));
    }

    /// Writes a time in seconds, given in milliseconds, with two decimals if they suffice.
    pub(super) fn time(&mut self, time: u32) {
        let (seconds, rest) = (time / 1000, time % 1000);
        if rest % 10 == 0 {
            self.write(format_args!("{seconds}.{:02}", rest / 10));
        } else {
            self.write(format_args!("{seconds}.{rest:03}"));
        }
    }

    /// Writes a key, after a comma unless it is the first one of its object.
    pub(super) fn key(&mut self, name: &str) {
        let first = self.0.ends_with('{');
        self.separate(first);
        self.text(name);
        self.push(":");
    }

    fn write(&mut self, text: Arguments<'_>) {
        self.0
            .write_fmt(text)
            .expect("writing to a string does not fail");
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.0.into()
    }
}

/// Returns a text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
