//! A checker and a reader of JSON text. Nothing here knows what pyannoteAI sends.

mod bytes;
mod checker;
mod deserialize;
mod heap;
mod keys;
mod map;
mod number;
mod read;
mod reader;
mod string;

pub(super) use self::{
    checker::{Checker, NotJson, Observer},
    deserialize::{deserialize, deserialize_map},
    heap::ALLOCATION,
    map::Map,
    read::{Read, Unread, read},
    reader::{Field, Reader},
    string::{string, string_lossy},
};

#[cfg(test)]
mod tests;
