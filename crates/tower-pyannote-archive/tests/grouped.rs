//! The tests of the archive, over `GroupedFileSystem`.
#![cfg(feature = "fs")]

#[path = "archive/main.rs"]
mod archive;
