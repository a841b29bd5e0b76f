//! Power cuts: an inbox and an archive on a disk that forgets what was not flushed.
//!
//! A process commits events and archives them, and is killed before one of its calls that change files. A library in it, compiled
//! from `recorder.c`, records these calls. From the record the test makes what a disk may hold after the cut, opens the inbox
//! there, and looks for every event that was acknowledged and every file whose handler had succeeded.
#![cfg(all(target_os = "linux", feature = "sqlite", feature = "testing"))]

mod device;

use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, UNIX_EPOCH},
};

use object_store::{ObjectStore, local::LocalFileSystem};
use tempfile::TempDir;
use tower_pyannote::{HandlerRegistry, WebhookEvent, event::Delivery};
use tower_pyannote_archive::{Archive, GroupedFileSystem};
use tower_pyannote_inbox::{Inbox, InboxFilter};

use self::device::{Device, Left};

#[test]
fn no_event_and_no_file_is_lost_in_two_hundred_power_cuts() {
    let Some(recorder) = recorder() else { return };
    let chains = [Store::Local, Store::Grouped].map(|store| {
        thread::spawn(move || {
            let (mut committed, mut archived) = (0, 0);
            for _ in 0..4 {
                let mut disk = Disk::new(recorder, store, "");
                for _ in 0..25 {
                    disk.cut();
                    assert_eq!(disk.lost(), [""; 0], "{}", disk.history());
                }
                committed += disk.committed.len();
                archived += disk.archived.len();
            }
            (committed, archived)
        })
    });
    for chain in chains {
        let (committed, archived) = chain.join().unwrap();
        // Most cuts are late enough.
        assert!(committed > 200 && archived > 150, "{committed} {archived}");
        eprintln!("{committed} events were committed, {archived} archived, and none was lost");
    }
}

#[test]
fn an_archive_that_does_not_flush_loses_files() {
    let Some(recorder) = recorder() else { return };
    assert!(loses(recorder, Store::LocalUnflushed, "", "file"));
}

#[test]
fn a_disk_that_ignores_the_flushes_of_sqlite_loses_events() {
    let Some(recorder) = recorder() else { return };
    assert!(loses(recorder, Store::Local, "inbox.sqlite", "event"));
}

#[test]
fn a_disk_that_ignores_flushes_of_the_file_system_has_incomplete_files() {
    let Some(recorder) = recorder() else { return };
    assert!(loses(recorder, Store::Grouped, "syncfs", "incomplete"));
}

#[test]
fn a_disk_that_ignores_flushes_of_folders_loses_files() {
    let Some(recorder) = recorder() else { return };
    assert!(loses(recorder, Store::Grouped, "folders", "file"));
}

/// Returns whether a power cut loses something on a disk that ignores some flushes.
fn loses(recorder: &'static Path, store: Store, ignored: &'static str, what: &str) -> bool {
    (0..60).any(|_| {
        let mut disk = Disk::new(recorder, store, ignored);
        disk.cut();
        disk.lost().iter().any(|lost| lost.starts_with(what))
    })
}

/// The store of the archive.
#[derive(Clone, Copy, Debug)]
enum Store {
    Local,
    LocalUnflushed,
    Grouped,
}

impl Store {
    fn open(name: &str, directory: &Path) -> Arc<dyn ObjectStore> {
        if name == "Grouped" {
            return Arc::new(GroupedFileSystem::new(directory).unwrap());
        }
        let store = LocalFileSystem::new_with_prefix(directory).unwrap();
        Arc::new(store.with_fsync(name == "Local"))
    }
}

/// A disk, and what must be on it.
struct Disk {
    recorder: &'static Path,
    store: Store,
    /// The flushes that the disk ignores, by the recorder's names.
    ignored: &'static str,
    directory: TempDir,
    cuts: Vec<(u32, Left)>,
    committed: BTreeSet<u32>,
    archived: BTreeSet<u32>,
}

impl Disk {
    fn new(recorder: &'static Path, store: Store, ignored: &'static str) -> Self {
        // In memory where that is possible, because nothing is flushed.
        let directory = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new());
        let directory = directory.unwrap();
        // The folder of the inbox is made with the inbox.
        fs::create_dir_all(directory.path().join("0/archive")).unwrap();
        Self {
            recorder,
            store,
            ignored,
            directory,
            cuts: Vec::new(),
            committed: BTreeSet::new(),
            archived: BTreeSet::new(),
        }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join(self.cuts.len().to_string())
    }

    /// Works on the disk until the power fails.
    fn cut(&mut self) {
        let root = self.root();
        let mut device = Device::of(&root);
        let record = self.directory.path().join("record");
        let cut = fastrand::u32(1..450);
        let mut child = Command::new(env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "process_that_loses_power",
                "--nocapture",
            ])
            .env("LD_PRELOAD", self.recorder)
            .env("RECORDER_ROOT", &root)
            .env("RECORDER_FILE", &record)
            .env("RECORDER_CUT", cut.to_string())
            .env("RECORDER_DEAF", self.ignored)
            .env(
                FIRST,
                self.committed.last().map_or(0, |last| last + 1).to_string(),
            )
            .env(STORE, format!("{:?}", self.store))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let number =
                |what: &str| -> Option<u32> { line.split_once(what)?.1.trim().parse().ok() };
            self.committed.extend(number("committed "));
            self.archived.extend(number("archived "));
        }
        // It is killed, or has reached its last event.
        child.wait().unwrap();
        let left = if fastrand::bool() {
            Left::Nothing
        } else {
            Left::Some
        };
        self.cuts.push((cut, left));
        device.replay(&fs::read(&record).unwrap());
        device.cut(left, &self.root());
        fs::remove_dir_all(&root).unwrap();
    }

    /// Returns what is not there, or not whole.
    fn lost(&self) -> Vec<String> {
        let root = self.root();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        // The inbox is not opened on the disk itself, so that the next process meets what the cut left.
        let copy = TempDir::new_in(self.directory.path()).unwrap();
        if let Ok(files) = fs::read_dir(root.join(FOLDER)) {
            for file in files {
                let file = file.unwrap().path();
                fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
            }
        }
        let mut lost = runtime.block_on(async {
            let mut lost = Vec::new();
            let inbox = match Inbox::sqlite(copy.path().join("inbox.sqlite")).await {
                Ok(inbox) => inbox,
                Err(error) => return vec![format!("event: {error:?}")],
            };
            for number in &self.committed {
                let expected = event(*number);
                let filter = InboxFilter::new().with_job_id(expected.job_id());
                let entry = inbox.list(&filter).await.unwrap().pop();
                let kept = match entry {
                    Some(entry) => inbox.event(&entry.id).await.unwrap(),
                    None => None,
                };
                if kept.is_none_or(|kept| kept.raw() != expected.raw()) {
                    lost.push(format!("event {number}"));
                }
            }
            lost
        });
        for number in &self.archived {
            let expected = event(*number);
            let path = root
                .join("archive/events")
                .join(Archive::name_of(&expected));
            if fs::read(path).ok().as_deref() != Some(&**expected.raw()) {
                lost.push(format!("file {number}"));
            }
        }
        for file in fs::read_dir(root.join("archive/events"))
            .into_iter()
            .flatten()
        {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let Some(name) = name.strip_suffix("_succeeded.json") else {
                continue;
            };
            let (_, number) = name.rsplit_once("job-").unwrap();
            let expected = event(number.parse().unwrap());
            if fs::read(&path).unwrap() != **expected.raw() {
                lost.push(format!("incomplete file {number}"));
            }
        }
        lost
    }

    fn history(&self) -> String {
        format!(
            "cuts: {:?}; committed: {}; archived: {}",
            self.cuts,
            self.committed.len(),
            self.archived.len()
        )
    }
}

fn event(number: u32) -> WebhookEvent {
    let padding = "x".repeat(usize::try_from(number % 7).unwrap() * 700);
    let body = format!(r#"{{"jobId":"job-{number}","status":"succeeded","padding":"{padding}"}}"#);
    let received_at = UNIX_EPOCH + Duration::from_secs(1_767_225_600 + u64::from(number));
    WebhookEvent::new(body.into(), Delivery::at(received_at)).unwrap()
}

#[tokio::test]
#[ignore = "is run by other tests, as a process that loses power"]
async fn process_that_loses_power() {
    let root = PathBuf::from(env::var("RECORDER_ROOT").unwrap());
    let first: u32 = env::var(FIRST).unwrap().parse().unwrap();
    let inbox = Inbox::sqlite(root.join(FOLDER).join("inbox.sqlite"))
        .await
        .unwrap();
    let store = Store::open(&env::var(STORE).unwrap(), &root.join("archive"));
    let archive = Archive::new(store, "events").unwrap();
    let registry = HandlerRegistry::new()
        .on_any("archive", move |event: WebhookEvent| {
            let archive = archive.clone();
            async move {
                archive.keep(&event).await?;
                println!("archived {}", &event.job_id()["job-".len()..]);
                Ok(())
            }
        })
        .unwrap();
    let worker = inbox.worker(registry).with_lease(Duration::from_secs(3));
    tokio::spawn(worker.unwrap().run_until(std::future::pending()));
    for together in 0..3 {
        let first = first + 4 * together;
        let commits = (first..first + 4).map(async |number| {
            inbox.commit(&event(number)).await.unwrap();
            println!("committed {number}");
        });
        futures_util::future::join_all(commits).await;
    }
    // Events of the process before wait for its lease, and are left to the next one.
    for _ in 0..20 {
        if inbox.stats().await.unwrap().waiting == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Compiles the library once. Where there is no C compiler, panics in CI and returns `None` elsewhere.
fn recorder() -> Option<&'static Path> {
    static RECORDER: OnceLock<Option<PathBuf>> = OnceLock::new();

    let compile = || {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let library = folder.join("recorder.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/power/recorder.c");
        let compiled = Command::new("cc")
            .args([
                "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o",
            ])
            .arg(&library)
            .arg(source)
            .args(["-ldl", "-pthread"])
            .status();
        match compiled {
            Ok(status) => {
                assert!(status.success(), "cc: {status}");
                Some(library)
            }
            Err(error) => {
                assert!(
                    env::var_os("CI").is_none(),
                    "cc is not installed, which CI requires: {error}"
                );
                eprintln!("skipped: cc is not installed");
                None
            }
        }
    };
    RECORDER.get_or_init(compile).as_deref()
}

/// The folder of the inbox.
const FOLDER: &str = "of/its/own";

const FIRST: &str = "FIRST_EVENT";
const STORE: &str = "ARCHIVE_STORE";
