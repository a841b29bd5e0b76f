use std::{
    io::Write,
    net::TcpStream,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use sqlx::{Connection, SqliteConnection};
use tokio::runtime::Runtime;
use tower_pyannote_inbox::Inbox;

use crate::{
    crowd::Crowd,
    target::{LITTLE, Target},
};

use tower_pyannote_test_support::{
    bodies,
    http::{Post, connect, get},
    process::{Server, dir},
};

#[test]
fn pages_of_a_large_inbox() {
    let dir = dir();
    fill(&dir.path().join("data/inbox.sqlite"));
    let target = Target::start_with(|env| Server::start_in(dir, &[], env));
    assert!(target.inbox()["handled"].as_u64() > Some(EVENTS));
    for path in ["/", "/health"] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let crowd = Crowd {
            connections: 250,
            greeting: request.into_bytes(),
            refrain: Vec::new(),
            pause: Duration::from_millis(100),
            reads: true,
        };
        target.withstands(&format!("250 clients of {path}"), LITTLE, |address| {
            crowd.besiege(address);
        });
    }
}

#[test]
fn connection_that_waits_for_its_commit_outlives_those_that_wait_for_a_page() {
    let target = Target::start();
    let file = target.data().join("inbox.sqlite");
    let runtime = Runtime::new().unwrap();
    let locked = async {
        let mut file = SqliteConnection::connect(file.to_str().unwrap()).await?;
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut file).await?;
        Ok::<_, sqlx::Error>(file)
    };
    // Neither a health check nor a commit ends while the file is locked.
    let locked = runtime.block_on(locked).unwrap();
    thread::scope(|scope| {
        let delivery = scope.spawn(|| {
            let post = Post::new(bodies::status_only(&bodies::job(target.next())));
            post.try_send(target.address).map(|answer| answer.status)
        });
        thread::sleep(Duration::from_millis(200));
        let waiting: Vec<TcpStream> = (0..250)
            .map(|_| {
                let mut stream = connect(target.address);
                stream
                    .write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")
                    .unwrap();
                stream
            })
            .collect();
        let begun = Instant::now();
        assert_eq!(get(target.address, "/metrics", "*/*").status, 200);
        let took = begun.elapsed();
        drop(waiting);
        runtime.block_on(locked.close()).unwrap();
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(delivery.join().unwrap(), Some(200));
    });
}

/// Creates an inbox of handled events with empty bodies.
fn fill(file: &Path) {
    let handled = format!(
        "INSERT INTO pyannote_events (event_key, job_key, job_id, status, source, sha256, body_bytes, received_at, \
         signed_at, state, finished_at) \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {EVENTS}) \
         SELECT PRINTF('%032d', i), X'', '', 'succeeded', 'delivered', X'', 0, i, i, 'handled', \
         UNIXEPOCH() * 1000000000 FROM n; \
         PRAGMA wal_checkpoint(TRUNCATE);"
    );
    let filled = async {
        Inbox::sqlite(file).await.unwrap();
        let mut file = SqliteConnection::connect(file.to_str().unwrap()).await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(handled))
            .execute(&mut file)
            .await?;
        file.close().await
    };
    let runtime = Runtime::new().unwrap();
    runtime.block_on(filled).unwrap();
}

const EVENTS: u64 = 200_000;
