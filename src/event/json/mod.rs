//! A checker and a reader of JSON text.

pub(super) mod checker;
pub(super) mod reader;
pub(super) mod string;
