//! `GroupedFileSystem`: many creates at once, and groups in which a create fails.
#![cfg(all(target_os = "linux", feature = "fs"))]

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use futures_util::future::{join, join_all};
use object_store::{
    Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, PutResult, Result,
    path::Path as Location,
};
use tower_pyannote_archive::GroupedFileSystem;

fn open(directory: &Path) -> Arc<GroupedFileSystem> {
    Arc::new(GroupedFileSystem::new(directory).unwrap())
}

async fn create(store: &GroupedFileSystem, name: &str, content: &str) -> Result<PutResult> {
    let payload = PutPayload::from(content.to_owned());
    let options = PutOptions::from(PutMode::Create);
    store
        .put_opts(&Location::from(name), payload, options)
        .await
}

/// The content of a file, of up to 12 KiB.
fn content(number: usize) -> String {
    format!("{number:012}").repeat(number * 7919 % 1024)
}

/// Returns the error of the operating system.
fn cause(error: &Error) -> &io::Error {
    let mut error: &dyn std::error::Error = error;
    loop {
        match error.downcast_ref() {
            Some(cause) => return cause,
            None => error = error.source().unwrap(),
        }
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hundreds_of_creates_at_once_in_two_directories_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let tasks: Vec<_> = (0..400)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let name = format!("{}/{number}", number % 2);
                create(&store, &name, &content(number)).await.unwrap();
                let path = store.get(&name.into()).await.unwrap();
                assert_eq!(path.bytes().await.unwrap(), content(number));
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let kept = [0, 1].map(|half| names(&dir.path().join(half.to_string())));
    assert_eq!(kept.map(|names| names.len()), [200, 200]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_hundreds_of_creates_of_a_name_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let stores = [open(dir.path()), open(dir.path())];
    let tasks: Vec<_> = (0..400)
        .map(|number| {
            let store = stores[number % 2].clone();
            tokio::spawn(async move { create(&store, "name", &content(number)).await })
        })
        .collect();
    let mut created = Vec::new();
    for (number, task) in tasks.into_iter().enumerate() {
        match task.await.unwrap() {
            Ok(_) => created.push(number),
            Err(Error::AlreadyExists { path, .. }) => assert!(path.ends_with("/name"), "{path}"),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(created.len(), 1, "{created:?}");
    let kept = fs::read_to_string(dir.path().join("name")).unwrap();
    assert_eq!(kept, content(created[0]));
    assert_eq!(names(dir.path()), ["name"]);
}

#[tokio::test]
async fn a_create_that_fails_does_not_fail_its_group() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    create(&store, "exists", "first").await.unwrap();
    let too_long = "n".repeat(300);
    // Only the second round is a group, because a store creates the first files alone.
    for round in ["a", "b"] {
        let good = (0..20).map(async |number| {
            create(&store, &format!("{round}-{number}"), &content(number)).await
        });
        let bad = [too_long.as_str(), "exists"].map(async |name| create(&store, name, "x").await);
        let (good, bad) = join(join_all(good), join_all(bad)).await;
        assert!(good.iter().all(Result::is_ok), "{good:?}");
        let error = bad[0].as_ref().unwrap_err();
        assert!(error.to_string().contains(&too_long), "{error}");
        assert_eq!(cause(error).raw_os_error(), Some(NAME_TOO_LONG));
        assert!(matches!(bad[1], Err(Error::AlreadyExists { .. })));
    }
    assert_eq!(names(dir.path()).len(), 41);
    let kept = fs::read_to_string(dir.path().join("exists")).unwrap();
    assert_eq!(kept, "first");
}

#[tokio::test]
async fn a_directory_that_was_removed_is_created_again() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    let store = open(&root);
    create(&store, "a", "before").await.unwrap();
    fs::remove_dir_all(&root).unwrap();
    let (one, two) = join(create(&store, "b", "1"), create(&store, "c", "2")).await;
    one.unwrap();
    two.unwrap();
    assert_eq!(names(&root), ["b", "c"]);
}

#[tokio::test]
async fn options_that_a_local_file_system_lacks_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = PutOptions::from(PutMode::Create);
    let key = object_store::Attribute::ContentType;
    options.attributes.insert(key, "application/json".into());
    let store = open(dir.path());
    let location = "a".into();
    let put = store.put_opts(&location, "x".into(), options).await;
    assert!(matches!(put, Err(Error::NotImplemented { .. })));
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn a_store_outlives_the_runtime_that_used_it_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for name in ["a", "b"] {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(create(&store, name, "1")).unwrap();
    }
    assert_eq!(names(dir.path()), ["a", "b"]);
}

#[test]
fn a_full_disk_fails_only_the_files_that_do_not_fit() {
    let mount = "mount -t tmpfs -o size=1m tmpfs .";
    in_a_file_system(ANY_USER, mount, "fills_the_disk");
}

#[test]
fn a_read_only_file_system_fails_each_create() {
    let mount = "mount -t tmpfs -o ro tmpfs .";
    in_a_file_system(ANY_USER, mount, "writes_to_a_read_only_file_system");
}

#[test]
fn a_flush_that_fails_fails_its_creates() {
    // A disk that claims to be larger than it is.
    let mount = "mount -t tmpfs -o size=4m tmpfs . && cd . && truncate -s 64m image && mkfs.ext4 -q -O ^has_journal image && \
                 mount -o loop image .";
    in_a_file_system(&[], mount, "writes_to_a_disk_that_fails");
}

/// Runs a test of this file in a file system of its own, which a script mounts at its working directory.
fn in_a_file_system(user: &[&str], mount: &str, test: &str) {
    let dir = tempfile::tempdir().unwrap();
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(user).args(["--mount", "sh", "-ec", script]);
        command.current_dir(dir.path()).env("DIRECTORY", dir.path());
        command.env("PROGRAM", env::current_exe().unwrap());
        let output = command.output();
        let is_done = output.as_ref().is_ok_and(|output| output.status.success());
        (is_done, output)
    };
    if !unshare(mount).0 {
        println!("skipped: unshare may not mount such a file system");
        return;
    }
    let run = format!("{mount}; exec \"$PROGRAM\" --ignored --exact {test}");
    let (is_done, output) = unshare(&run);
    assert!(is_done, "{output:?}");
}

#[tokio::test]
#[ignore = "run by the test above in a file system of its own"]
async fn fills_the_disk() {
    let root = env::var("DIRECTORY").unwrap();
    let (root, large) = (Path::new(&root), "x".repeat(100 << 10));
    let store = open(root);
    // Measures files alone, so that the next files share a group.
    let (one, two) = join(create(&store, "a", "1"), create(&store, "b", "2")).await;
    one.and(two).unwrap();
    let creates =
        (0..40).map(async |number| create(&store, &number.to_string(), &large).await.map(drop));
    let results = join_all(creates).await;
    let kept = results.iter().filter(|result| result.is_ok()).count();
    assert!((5..=10).contains(&kept), "{kept}");
    for (number, result) in results.iter().enumerate() {
        let content = fs::read_to_string(root.join(number.to_string()));
        match result {
            Ok(()) => assert_eq!(content.unwrap(), large),
            Err(error) => {
                assert_eq!(cause(error).kind(), io::ErrorKind::StorageFull);
                assert_eq!(content.unwrap_err().kind(), io::ErrorKind::NotFound);
            }
        }
    }
    assert_eq!(names(root).len(), kept + 2, "no temporary file is left");

    let freed = results.iter().position(Result::is_ok).unwrap();
    fs::remove_file(root.join(freed.to_string())).unwrap();
    create(&store, "later", &large).await.unwrap();
}

#[tokio::test]
#[ignore = "run by the test above in a file system of its own"]
async fn writes_to_a_read_only_file_system() {
    let root = env::var("DIRECTORY").unwrap();
    let store = open(Path::new(&root));
    let results =
        join_all(["a", "b", "c"].map(async |name| create(&store, name, "x").await.map(drop)));
    for result in results.await {
        let error = result.unwrap_err();
        assert_eq!(cause(&error).kind(), io::ErrorKind::ReadOnlyFilesystem);
    }
}

#[tokio::test]
#[ignore = "run by the test above in a file system of its own"]
async fn writes_to_a_disk_that_fails() {
    let root = env::var("DIRECTORY").unwrap();
    let store = open(Path::new(&root));
    // From now on, files that come together share a group, unless they take 16 times as long as these.
    let small = "x".repeat(1 << 20);
    let (one, two) = join(create(&store, "a", &small), create(&store, "b", &small)).await;
    one.and(two).unwrap();
    // None of the files fits on the disk.
    let large = "x".repeat(3 << 20);
    let creates =
        (0..8).map(async |number| create(&store, &number.to_string(), &large).await.map(drop));
    for result in join_all(creates).await {
        let error = result.unwrap_err();
        // The kernel only meets the end of the disk when it flushes.
        let code = cause(&error).raw_os_error().unwrap();
        assert!([INPUT_OUTPUT, NO_SPACE].contains(&code), "{code}: {error}");
    }
    assert_eq!(names(Path::new(&root)), ["a", "b", "lost+found"]);
}

#[test]
fn a_process_killed_while_it_writes_groups_leaves_nothing_incomplete() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..20 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "creates_until_it_is_killed"])
            .args(["--ignored", "--nocapture", "--test-threads=1"])
            .env("DIRECTORY", dir.path())
            .env("FIRST", (round * 100_000).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut created = lines.filter_map(|line| {
            let line = line.unwrap();
            let number = line.strip_prefix("created ")?;
            Some(number.parse::<usize>().unwrap())
        });
        acknowledged.extend(created.by_ref().take(40 + round * 7));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(created);
    }
    for name in names(dir.path()) {
        let Some(number) = name.strip_suffix(".json") else {
            assert!(name.contains(".json#"), "{name}");
            continue;
        };
        let number = number.parse().unwrap();
        let kept = fs::read_to_string(dir.path().join(&name)).unwrap();
        assert_eq!(kept, content(number), "{name}");
        acknowledged.remove(&number);
    }
    assert_eq!(acknowledged, BTreeSet::new(), "lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test above as a process of its own"]
async fn creates_until_it_is_killed() {
    let store = open(Path::new(&env::var("DIRECTORY").unwrap()));
    let first: usize = env::var("FIRST").unwrap().parse().unwrap();
    let tasks: Vec<_> = (0..32)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for number in (first + task..first + 100_000).step_by(32) {
                    let name = format!("{number}.json");
                    create(&store, &name, &content(number)).await.unwrap();
                    println!("\ncreated {number}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// `ENAMETOOLONG`.
const NAME_TOO_LONG: i32 = 36;

/// `EIO`.
const INPUT_OUTPUT: i32 = 5;

/// `ENOSPC`.
const NO_SPACE: i32 = 28;

/// Lets any user mount a tmpfs. Only root may mount a loop device.
const ANY_USER: &[&str] = &["--map-root-user"];
