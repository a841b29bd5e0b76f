//! Acknowledged events survive crashes, restarts and broken disks under load.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use sqlx::{Connection, Row, SqliteConnection};

use tower_pyannote_test_support::{
    bodies,
    http::{Answer, Post, SECRET, get},
    postgres::Postgres,
    process::{SECRET_NAME, Server, dir, run, wait_until},
};

/// Senders that behave as pyannoteAI, and the record of the responses.
#[derive(Default)]
struct Load {
    number: AtomicUsize,
    stop: AtomicBool,
    /// The bodies that were sent, and whether each was acknowledged.
    sent: Mutex<HashMap<Vec<u8>, bool>>,
    refused: AtomicUsize,
    slowest: Mutex<Duration>,
}

impl Load {
    /// Sends new events until `stop` is set, each up to `attempts` times until it is acknowledged.
    fn send(&self, address: SocketAddr, attempts: usize) {
        while !self.stop.load(Ordering::Relaxed) {
            let number = self.number.fetch_add(1, Ordering::Relaxed);
            let body = bodies::diarization(&bodies::job(number), number % 7 * 40_000);
            self.sent.lock().unwrap().insert(body.clone(), false);
            let post = Post::new(body);
            for _ in 0..attempts {
                let begun = Instant::now();
                let answer = post.try_send(address);
                let mut slowest = self.slowest.lock().unwrap();
                *slowest = begun.elapsed().max(*slowest);
                drop(slowest);
                match answer {
                    Some(Answer { status: 200, .. }) => {
                        self.sent.lock().unwrap().insert(post.body.clone(), true);
                        break;
                    }
                    Some(Answer { status: 503, .. }) => {
                        self.refused.fetch_add(1, Ordering::Relaxed);
                    }
                    Some(answer) => panic!("answered {}", answer.status),
                    // The server is down.
                    None => {}
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn acknowledged(&self) -> usize {
        self.sent
            .lock()
            .unwrap()
            .values()
            .filter(|acknowledged| **acknowledged)
            .count()
    }

    /// Asserts that each acknowledged event was archived once and whole, and nothing that was not sent.
    fn check(&self, kept: impl Iterator<Item = Vec<u8>>) {
        let sent = self.sent.lock().unwrap();
        let mut times: HashMap<&[u8], usize> = HashMap::new();
        let kept: Vec<_> = kept.collect();
        for body in &kept {
            assert!(
                sent.contains_key(body),
                "kept, but never sent: half-written?"
            );
            *times.entry(body).or_default() += 1;
        }
        let lost = sent
            .iter()
            .filter(|(body, acknowledged)| **acknowledged && !times.contains_key(&body[..]))
            .count();
        assert_eq!(lost, 0, "acknowledged and lost");
        let twice = times.values().filter(|times| **times > 1).count();
        assert_eq!(twice, 0, "kept twice");
    }
}

fn killed_20_times_under_load(database: Option<&str>) {
    let mut env = vec![(SECRET_NAME, SECRET)];
    env.extend(database.map(|url| ("DATABASE_URL", url)));
    let random = RandomState::new();
    let load = Load::default();
    let mut server = Server::start_in(dir(), &[], &env);
    let address = server.address;
    let port = address.port().to_string();
    let server = thread::scope(|scope| {
        for sender in 0..8 {
            // Some senders give up at once, so that their event may be committed or not.
            let attempts = if sender % 2 == 0 { 1 } else { 100 };
            let load = &load;
            scope.spawn(move || load.send(address, attempts));
        }
        for kill in 0..20_u64 {
            let before = load.acknowledged();
            wait_until("some load", || load.acknowledged() > before + 5);
            thread::sleep(Duration::from_millis(random.hash_one(kill) % 400));
            let dir = server.kill_9();
            server = Server::start_on_any_port(dir, &["--port", &port], &env);
        }
        load.stop.store(true, Ordering::Relaxed);
        server
    });
    assert!(load.acknowledged() > 100);
    load.check(server.kept().into_values());
    let inbox = server.inbox();
    assert_eq!((&inbox["waiting"], &inbox["dead"]), (&0.into(), &0.into()));
}

#[test]
fn sqlite_loses_nothing_when_killed_20_times_under_load() {
    killed_20_times_under_load(None);
}

#[test]
fn postgresql_loses_nothing_when_the_server_is_killed_20_times_under_load() {
    if let Some(postgres) = Postgres::start() {
        killed_20_times_under_load(Some(&postgres.url("postgres")));
    }
}

#[test]
fn postgresql_loses_nothing_when_restarted_under_load() {
    let Some(mut postgres) = Postgres::start() else {
        return;
    };
    let url = postgres.url("postgres");
    let env = [(SECRET_NAME, SECRET), ("DATABASE_URL", url.as_str())];
    let server = Server::start_in(dir(), &[], &env);
    let load = Load::default();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| load.send(server.address, usize::MAX));
        }
        for _ in 0..3 {
            let before = load.acknowledged();
            wait_until("some load", || load.acknowledged() > before + 20);
            postgres.stop();
            let refused = load.refused.load(Ordering::Relaxed);
            wait_until("503", || load.refused.load(Ordering::Relaxed) > refused);
            wait_until("503", || {
                get(server.address, "/health", "*/*").status == 503
            });
            postgres.go_on();
            wait_until("200", || {
                get(server.address, "/health", "*/*").status == 200
            });
        }
        let before = load.acknowledged();
        wait_until("some load", || load.acknowledged() > before + 20);
        load.stop.store(true, Ordering::Relaxed);
    });
    let sent = load.sent.lock().unwrap().len();
    assert_eq!(load.acknowledged(), sent, "all are accepted in the end");
    let slowest = *load.slowest.lock().unwrap();
    assert!(
        slowest < Duration::from_secs(8),
        "before pyannoteAI's 10 s: {slowest:?}"
    );
    let kept = server.kept();
    load.check(kept.values().cloned());
    assert_eq!(kept.len(), sent);
}

#[test]
fn two_servers_on_one_postgresql_handle_each_event_once() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let url = postgres.url("postgres");
    let env = [(SECRET_NAME, SECRET), ("DATABASE_URL", url.as_str())];
    // Also started at the same time.
    let servers: Vec<_> = thread::scope(|scope| {
        let starts = [(); 2].map(|()| scope.spawn(|| Server::start_in(dir(), &[], &env)));
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });
    let posts: Vec<_> = (0..200)
        .map(|number| {
            Post::new(bodies::diarization(
                &bodies::job(number),
                number % 5 * 30_000,
            ))
        })
        .collect();
    thread::scope(|scope| {
        for server in &servers {
            for part in 0..4 {
                let posts = &posts;
                scope.spawn(move || {
                    for post in posts.iter().skip(part).step_by(4) {
                        assert_eq!(post.send(server.address).status, 200);
                    }
                });
            }
        }
    });
    let mut all = BTreeMap::new();
    for server in &servers {
        for (name, body) in server.kept() {
            assert!(
                all.insert(name.clone(), body).is_none(),
                "{name} is kept twice"
            );
        }
    }
    assert_eq!(all.len(), posts.len());
    assert_eq!(servers[0].inbox()["handled"], 200);
    let commits = |outcome| {
        let series = format!("pyannote_inbox_commits_total{{outcome=\"{outcome}\"}}");
        servers
            .iter()
            .map(|server| server.metric(&series))
            .sum::<f64>()
    };
    assert_eq!((commits("new"), commits("duplicate")), (200.0, 200.0));
}

fn is_healthy(server: &Server) -> bool {
    get(server.address, "/health", "*/*").status == 200
}

#[test]
fn removed_wal_file_gets_503_and_acknowledged_events_survive_kill_9() {
    let server = Server::start();
    let post = |number| Post::new(bodies::diarization(&bodies::job(number), 0));
    assert_eq!(post(0).send(server.address).status, 200);
    server.settle();
    fs::remove_file(server.data().join("inbox.sqlite-wal")).unwrap();
    assert_eq!(post(1).send(server.address).status, 503);
    assert!(!is_healthy(&server));

    let server = Server::start_in(server.kill_9(), &[], &[(SECRET_NAME, SECRET)]);
    assert!(is_healthy(&server));
    assert_eq!(server.inbox()["handled"], 1);
    for number in [0, 1] {
        assert_eq!(post(number).send(server.address).status, 200);
    }
    server.settle();
    assert_eq!(server.inbox()["handled"], 2);
    let series = "pyannote_inbox_commits_total{outcome=\"duplicate\"}";
    assert_eq!(server.metric(series), 1.0);
}

#[test]
fn truncated_database_file_gets_503() {
    let server = Server::start();
    let post = |number| Post::new(bodies::diarization(&bodies::job(number), 0));
    assert_eq!(post(0).send(server.address).status, 200);
    server.settle();
    // This process does not have the file open, so the server keeps its locks.
    fs::write(server.data().join("inbox.sqlite"), "").unwrap();
    for number in 1..4 {
        assert_eq!(post(number).send(server.address).status, 503);
        assert!(!is_healthy(&server));
    }
}

#[test]
fn damaged_index_that_makes_commits_fail_is_unhealthy() {
    let mut server = Server::start();
    let post = |number| Post::new(bodies::diarization(&bodies::job(number), 0));
    assert_eq!(post(0).send(server.address).status, 200);
    server.settle();
    server.signal("TERM");
    server.wait();
    let dir = server.into_dir();
    damage_index(&dir.path().join("data/inbox.sqlite"));

    let server = Server::start_in(dir, &[], &[(SECRET_NAME, SECRET)]);
    for number in 1..4 {
        assert_eq!(post(number).send(server.address).status, 503);
        assert!(!is_healthy(&server));
    }
    let body = get(server.address, "/health", "*/*").body;
    assert!(
        body.contains(r#""inbox":"the inbox's database failed""#),
        "{body}"
    );
}

/// Overwrites the first page of the index over the deduplication key.
fn damage_index(path: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (page, size) = runtime.block_on(async {
        let address = format!("sqlite://{}", path.display());
        let mut database = SqliteConnection::connect(&address).await.unwrap();
        let index = "SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size \
            WHERE tbl_name = 'pyannote_events' AND type = 'index' AND name IN \
            (SELECT i.name FROM pragma_index_list('pyannote_events') i, pragma_index_info(i.name) c \
            WHERE c.name = 'event_key')";
        let row = sqlx::query(index).fetch_one(&mut database).await.unwrap();
        let truncate = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)");
        truncate.execute(&mut database).await.unwrap();
        database.close().await.unwrap();
        (row.get::<i64, _>(0), row.get::<i64, _>(1))
    });
    let mut file = fs::read(path).unwrap();
    let (page, size) = (page as usize, size as usize);
    file[(page - 1) * size..page * size].fill(0xff);
    fs::write(path, file).unwrap();
}

/// A file system of a few megabytes. Only root can mount it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(path: &Path) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", "size=8m", "tmpfs"], path);
        if !mounted {
            eprintln!("left out: a file system cannot be mounted here");
            return None;
        }
        Some(Self(path.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str], path: &Path) -> bool {
    let mount = Command::new("mount").args(arguments).arg(path).output();
    mount.is_ok_and(|mount| mount.status.success())
}

#[test]
fn full_disk_gets_503_read_only_disk_ends_the_server_and_both_recover() {
    let dir = dir();
    let path = dir.path().join("disk");
    let Some(_disk) = SmallDisk::at(&path) else {
        return;
    };
    let database = ["--database-url", "sqlite://disk/inbox.sqlite"];
    let server = Server::start_in(dir, &database, &[(SECRET_NAME, SECRET)]);
    let post = |number| Post::new(bodies::diarization(&bodies::job(number), 100_000));
    assert_eq!(post(0).send(server.address).status, 200);

    let ballast = path.join("ballast");
    let _ = fs::write(&ballast, vec![0; 8 << 20]);
    let mut number = 1;
    wait_until("503", || {
        number += 1;
        post(number).send(server.address).status == 503
    });
    wait_until("503", || {
        get(server.address, "/health", "*/*").status == 503
    });
    fs::remove_file(&ballast).unwrap();
    assert_eq!(post(number).send(server.address).status, 200);
    wait_until("200", || {
        get(server.address, "/health", "*/*").status == 200
    });
    server.settle();

    // A file system can become read-only only while no file is open for writing.
    server.signal("TERM");
    let dir = server.into_dir();
    assert!(mount(&["-o", "remount,ro"], &path));
    let refused = run(dir.path(), &database, &[(SECRET_NAME, SECRET)]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .stderr
            .starts_with("error: --database-url (or DATABASE_URL): "),
        "{refused:?}"
    );
    assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");
    assert!(mount(&["-o", "remount,rw"], &path));
    let server = Server::start_in(dir, &database, &[(SECRET_NAME, SECRET)]);
    assert_eq!(post(1_000).send(server.address).status, 200);

    let kept = server.kept();
    let accepted = (0..=number).chain([1_000]).map(|number| post(number).body);
    for body in accepted.filter(|body| *body != post(1).body) {
        assert_eq!(kept.values().filter(|kept| **kept == body).count(), 1);
    }
}
