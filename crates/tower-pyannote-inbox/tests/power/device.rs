//! A disk that forgets at a power cut what was not flushed.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The number of a file or a folder.
type Number = u64;

/// What a process did to a tree of files, and how much of it is on the disk.
pub(crate) struct Device {
    root: Number,
    nodes: BTreeMap<Number, Node>,
}

enum Node {
    File(File),
    Folder(Folder),
}

#[derive(Default)]
struct File {
    /// What was flushed.
    bytes: Vec<u8>,
    unflushed: Vec<Change>,
}

enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Resize(usize),
}

#[derive(Clone, Default)]
struct Folder {
    names: BTreeMap<String, Number>,
    unflushed: Vec<Entry>,
}

#[derive(Clone)]
enum Entry {
    Add(String, Number),
    Remove(String),
    /// In one folder, which is atomic.
    Rename(String, String),
}

/// What is left of the changes that were not flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing.
    Nothing,
    /// Some sectors of some writes, and some entries of folders.
    Some,
}

impl Device {
    /// Reads a tree, all of which is on the disk.
    pub(crate) fn of(root: &Path) -> Self {
        let mut nodes = BTreeMap::new();
        let root = add(root, &mut nodes);
        Self { root, nodes }
    }

    /// Repeats what a recorder wrote down.
    pub(crate) fn replay(&mut self, record: &[u8]) {
        let mut rest = record;
        while rest.len() >= HEAD {
            let (head, after) = rest.split_at(HEAD);
            let long = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
            let short = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
            let [first, second] = [short(25), short(29)].map(|length| length as usize);
            if after.len() < first + second {
                break;
            }
            let (bytes, after) = after.split_at(first);
            let (name, after) = after.split_at(second);
            self.repeat(head[0], long(1), long(9), long(17), bytes, name);
            rest = after;
        }
    }

    fn repeat(
        &mut self,
        kind: u8,
        one: Number,
        other: Number,
        offset: u64,
        bytes: &[u8],
        name: &[u8],
    ) {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let offset = usize::try_from(offset).unwrap();
        match kind {
            CREATE => {
                self.nodes.insert(other, Node::File(File::default()));
                self.change(one, Entry::Add(text(bytes), other));
            }
            WRITE => self.file(one).unflushed.push(Change::Write {
                offset,
                bytes: bytes.to_vec(),
            }),
            TRUNCATE => self.file(one).unflushed.push(Change::Resize(offset)),
            FLUSH => {
                if let Some(node) = self.nodes.get_mut(&one) {
                    node.flush();
                }
            }
            FLUSH_ALL => self.nodes.values_mut().for_each(Node::flush),
            LINK => self.change(one, Entry::Add(text(bytes), other)),
            UNLINK => self.change(one, Entry::Remove(text(bytes))),
            RENAME => {
                assert_eq!(one, other, "a rename from one folder to another");
                self.change(one, Entry::Rename(text(bytes), text(name)));
            }
            MAKE_FOLDER => {
                self.nodes.insert(other, Node::Folder(Folder::default()));
                self.change(one, Entry::Add(text(bytes), other));
            }
            kind => panic!("an unknown record: {kind}"),
        }
    }

    /// Writes to an empty folder what the disk holds when the power is back.
    pub(crate) fn cut(mut self, left: Left, to: &Path) {
        for node in self.nodes.values_mut() {
            match node {
                Node::File(file) => {
                    for change in std::mem::take(&mut file.unflushed) {
                        if left == Left::Some {
                            change.apply_in_part(&mut file.bytes);
                        }
                    }
                }
                Node::Folder(folder) => {
                    for entry in std::mem::take(&mut folder.unflushed) {
                        if left == Left::Some && fastrand::bool() {
                            entry.apply(&mut folder.names);
                        }
                    }
                }
            }
        }
        self.write(self.root, to);
    }

    fn write(&self, number: Number, to: &Path) {
        match &self.nodes[&number] {
            Node::File(file) => fs::write(to, &file.bytes).unwrap(),
            Node::Folder(folder) => {
                fs::create_dir_all(to).unwrap();
                for (name, number) in &folder.names {
                    self.write(*number, &to.join(name));
                }
            }
        }
    }

    fn file(&mut self, number: Number) -> &mut File {
        match self.nodes.get_mut(&number) {
            Some(Node::File(file)) => file,
            _ => panic!("no file {number}"),
        }
    }

    fn change(&mut self, folder: Number, entry: Entry) {
        match self.nodes.get_mut(&folder) {
            Some(Node::Folder(folder)) => folder.unflushed.push(entry),
            _ => panic!("no folder {folder}"),
        }
    }
}

impl Node {
    fn flush(&mut self) {
        match self {
            Self::File(file) => {
                for change in std::mem::take(&mut file.unflushed) {
                    change.apply(&mut file.bytes);
                }
            }
            Self::Folder(folder) => {
                for entry in std::mem::take(&mut folder.unflushed) {
                    entry.apply(&mut folder.names);
                }
            }
        }
    }
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => put(file, *offset, bytes),
            Self::Resize(length) => file.resize(*length, 0),
        }
    }

    /// A disk writes whole sectors, in any order.
    fn apply_in_part(&self, file: &mut Vec<u8>) {
        match self {
            Self::Resize(_) if fastrand::bool() => self.apply(file),
            Self::Resize(_) => {}
            Self::Write { offset, bytes } => {
                let odds = fastrand::f32();
                let mut at = 0;
                while at < bytes.len() {
                    let length = (SECTOR - (offset + at) % SECTOR).min(bytes.len() - at);
                    if fastrand::f32() < odds {
                        put(file, offset + at, &bytes[at..at + length]);
                    }
                    at += length;
                }
            }
        }
    }
}

impl Entry {
    fn apply(self, names: &mut BTreeMap<String, Number>) {
        match self {
            Self::Add(name, number) => {
                names.insert(name, number);
            }
            Self::Remove(name) => {
                names.remove(&name);
            }
            Self::Rename(from, to) => {
                if let Some(number) = names.remove(&from) {
                    names.insert(to, number);
                }
            }
        }
    }
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}

fn add(path: &Path, nodes: &mut BTreeMap<Number, Node>) -> Number {
    let metadata = fs::symlink_metadata(path).unwrap();
    let node = if metadata.is_dir() {
        let mut folder = Folder::default();
        for entry in fs::read_dir(path).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            folder.names.insert(name, add(&path, nodes));
        }
        Node::Folder(folder)
    } else {
        Node::File(File {
            bytes: fs::read(path).unwrap(),
            unflushed: Vec::new(),
        })
    };
    nodes.insert(metadata.ino(), node);
    metadata.ino()
}

/// As in `recorder.c`.
const CREATE: u8 = 1;
const WRITE: u8 = 2;
const TRUNCATE: u8 = 3;
const FLUSH: u8 = 4;
const LINK: u8 = 5;
const UNLINK: u8 = 6;
const RENAME: u8 = 7;
const MAKE_FOLDER: u8 = 8;
const FLUSH_ALL: u8 = 9;
const HEAD: usize = 33;

const SECTOR: usize = 512;
