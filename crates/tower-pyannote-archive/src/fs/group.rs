use std::{
    collections::BTreeMap,
    error::Error,
    ffi::{OsStr, OsString},
    fmt,
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use object_store::PutPayload;
use rustix::{
    fs::{self, AtFlags, CWD, Mode, OFlags, RenameFlags},
    io::Errno,
    system,
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// A file that waits to be created.
#[derive(Debug)]
pub(super) struct Create {
    pub(super) directory: PathBuf,
    pub(super) name: OsString,
    pub(super) payload: PutPayload,
    pub(super) answer: oneshot::Sender<Answer>,
    pub(super) _room: OwnedSemaphorePermit,
}

#[derive(Debug)]
pub(super) enum Answer {
    /// The file and its name are durable.
    Created,
    /// The file must be created without a group.
    Alone,
    Failed(object_store::Error),
}

impl Create {
    fn answer(self, answer: Answer) {
        // Fails if the future of the create was dropped.
        let _ = self.answer.send(answer);
    }

    /// Leaves the file to be created without a group.
    pub(super) fn leave(self) {
        self.answer(Answer::Alone);
    }

    fn fail(self, source: impl Into<io::Error>) {
        let error = error(&self.directory.join(&self.name), source.into());
        self.answer(Answer::Failed(error));
    }
}

/// Creates the files of a group, and answers each create.
pub(super) fn commit(group: Vec<Create>) {
    let mut directories: BTreeMap<PathBuf, Vec<Create>> = BTreeMap::new();
    for create in group {
        let same = directories.entry(create.directory.clone());
        same.or_default().push(create);
    }
    for (directory, creates) in directories {
        // Open the directory before writing the files, because `syncfs` reports the errors since the open.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match fs::openat(CWD, &directory, flags, Mode::empty()) {
            Ok(directory) if has_reliable_syncfs(&directory) => {
                commit_in(&directory, creates);
            }
            // `LocalFileSystem` creates a missing directory, and flushes files on other file systems.
            _ => creates.into_iter().for_each(Create::leave),
        }
    }
}

fn commit_in(directory: &OwnedFd, creates: Vec<Create>) {
    // A single file gets its own flush, because `syncfs` also flushes the writes of other programs.
    let is_shared = creates.len() > 1;
    let mut written = Vec::with_capacity(creates.len());
    for create in creates {
        match write(directory, &create, !is_shared) {
            Ok(temporary) => written.push((create, temporary)),
            Err(error) => create.fail(error),
        }
    }
    if is_shared {
        if let Err(error) = fs::syncfs(directory) {
            for (create, temporary) in written {
                remove(directory, &temporary);
                create.fail(error);
            }
            return;
        }
    }

    let mut named = Vec::with_capacity(written.len());
    for (create, temporary) in written {
        let (from, to) = (&temporary, &create.name);
        match fs::renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE) {
            Ok(()) => named.push(create),
            Err(error) => {
                remove(directory, &temporary);
                create.fail(error);
            }
        }
    }
    if named.is_empty() {
        return;
    }
    let flushed = fs::fsync(directory);
    for create in named {
        match flushed {
            Ok(()) => create.answer(Answer::Created),
            Err(error) => create.fail(error),
        }
    }
}

/// Writes the content to a temporary file in the directory, and returns its name.
fn write(directory: &OwnedFd, create: &Create, flush: bool) -> io::Result<OsString> {
    let (file, temporary) = create_temporary(directory, &create.name)?;
    match fill(file, &create.payload, flush) {
        Ok(()) => Ok(temporary),
        Err(error) => {
            remove(directory, &temporary);
            Err(error)
        }
    }
}

fn fill(mut file: File, payload: &PutPayload, flush: bool) -> io::Result<()> {
    for part in payload {
        file.write_all(part)?;
    }
    match flush {
        true => file.sync_all(),
        false => Ok(()),
    }
}

/// Creates a file under the first free name of the form `NAME#1`, which `LocalFileSystem` never lists.
fn create_temporary(directory: &OwnedFd, name: &OsStr) -> io::Result<(File, OsString)> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let mut number = 1_u64;
    loop {
        let mut temporary = name.to_owned();
        temporary.push(format!("#{number}"));
        match fs::openat(directory, &temporary, flags, Mode::from_raw_mode(0o666)) {
            Ok(file) => return Ok((file.into(), temporary)),
            // A killed process left this file, or another create of the same name uses it.
            Err(Errno::EXIST) => number += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

fn remove(directory: &OwnedFd, temporary: &OsStr) {
    // If the removal fails, the file stays, as it does after a kill.
    let _ = fs::unlinkat(directory, temporary, AtFlags::empty());
}

/// Returns whether `syncfs` makes all files of this file system durable, and reports errors.
fn has_reliable_syncfs(directory: &OwnedFd) -> bool {
    static REPORTS_ERRORS: OnceLock<bool> = OnceLock::new();

    let reports_errors = REPORTS_ERRORS.get_or_init(|| {
        let system = system::uname();
        let release = system.release().to_str().unwrap_or_default();
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (5_u32, 8_u32),
            _ => false,
        }
    });
    // On other file systems, such as FUSE and overlayfs, `syncfs` may skip files or errors.
    *reports_errors
        && fs::fstatfs(directory).is_ok_and(|of| {
            let kind = u64::try_from(of.f_type);
            kind.is_ok_and(|kind| [EXT4, XFS, BTRFS, TMPFS].contains(&kind))
        })
}

/// Converts the error of a create to the error of a store.
pub(super) fn error(path: &Path, source: io::Error) -> object_store::Error {
    let (path, kind) = (path.display().to_string(), source.kind());
    let error = FileError { path, source };
    match kind {
        io::ErrorKind::AlreadyExists => object_store::Error::AlreadyExists {
            path: error.path.clone(),
            source: error.into(),
        },
        _ => object_store::Error::Generic {
            store: "GroupedFileSystem",
            source: error.into(),
        },
    }
}

#[derive(Debug)]
struct FileError {
    path: String,
    source: io::Error,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot create {}", self.path)
    }
}

impl Error for FileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// ext2 and ext3 have the same number.
const EXT4: u64 = 0xef53;
const XFS: u64 = 0x5846_5342;
const BTRFS: u64 = 0x9123_683e;
const TMPFS: u64 = 0x0102_1994;
