//! A checker and a reader of JSON text. Nothing here knows what pyannoteAI sends.

mod bytes;
mod checker;
mod deserialize;
mod heap;
mod map;
mod number;
mod reader;
mod string;

pub(super) use self::{
    checker::{Checker, NotJson, Observer},
    deserialize::{deserialize, deserialize_map},
    heap::ALLOCATION,
    map::Map,
    reader::{Field, Read, Reader, Unread, read},
    string::{string, string_lossy},
};
