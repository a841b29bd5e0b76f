use std::fmt::{Arguments, Write};

use bytes::Bytes;

/// JSON as it grows. Numbers are written from whole ones, so that a day's curves take no time.
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
        self.push(&serde_json::Value::from(text).to_string());
    }

    pub(super) fn number(&mut self, number: u8) {
        self.write(format_args!("{number}"));
    }

    pub(super) fn speaker(&mut self, speaker: u8) {
        self.write(format_args!("\"SPEAKER_{speaker:02}\""));
    }

    /// Seconds, from hundredths of them.
    pub(super) fn time(&mut self, time: u32) {
        self.write(format_args!("{}.{:02}", time / 100, time % 100));
    }

    /// A key of an object that may have had others before it.
    pub(super) fn key(&mut self, name: &str) {
        let first = self.0.ends_with('{');
        self.separate(first);
        self.text(name);
        self.push(":");
    }

    fn write(&mut self, text: Arguments<'_>) {
        self.0
            .write_fmt(text)
            .expect("a string takes all that is written");
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.0.into()
    }
}
