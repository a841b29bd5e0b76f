use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use tower_pyannote_test_support::{
    bodies,
    http::{Answer, Post, SECRET, connect},
    process::{SECRET_NAME, Server, kept_in, run, wait_until},
};

#[test]
fn delivery_in_flight_completes_after_sigterm_and_new_connections_are_refused() {
    let mut server = Server::start();
    let (mut stream, post) = half_sent(&server);
    server.signal("TERM");
    wait_until("refusal", || TcpStream::connect(server.address).is_err());

    stream.write_all(&post.body[post.body.len() / 2..]).unwrap();
    let answer = Answer::read(&mut stream).unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(server.wait().code(), Some(0));

    // If the handlers had no time left, the next server runs them.
    let server = Server::start_in(server.into_dir(), &[], &[(SECRET_NAME, SECRET)]);
    assert_eq!(server.kept().into_values().collect::<Vec<_>>(), [post.body]);
}

#[test]
fn ctrl_c_stops_an_idle_server_immediately() {
    let mut server = Server::start();
    let idle = kept_alive(&server);
    let silent = connect(server.address);
    let begun = Instant::now();
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0));
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    drop((idle, silent));
}

#[test]
fn second_signal_stops_immediately() {
    let mut server = Server::start();
    let (_stream, _post) = half_sent(&server);
    let begun = Instant::now();
    server.signal("TERM");
    wait_until("refusal", || TcpStream::connect(server.address).is_err());
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(1));
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    assert!(
        server
            .log()
            .ends_with("error: stopped at once by a second SIGTERM\n")
    );
    assert!(is_empty(server.into_dir().path()));
}

#[test]
fn stalled_body_is_refused_and_does_not_delay_a_stop() {
    let mut server = Server::start();
    let (mut stream, _post) = half_sent(&server);
    let begun = Instant::now();
    server.signal("TERM");
    assert_eq!(Answer::read(&mut stream).unwrap().status, 408);
    drop(stream);
    assert_eq!(server.wait().code(), Some(0));
    assert!(
        begun.elapsed() < Duration::from_secs(9),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn slow_delivery_is_cut_off_when_the_server_stops() {
    let mut server = Server::start();
    let post = Post::new(bodies::diarization(&bodies::job(1), 4 << 20));
    let mut stream = connect(server.address);
    let (sent, sending) = mpsc::channel();
    let sender = thread::spawn(move || {
        stream.write_all(post.head().as_bytes()).unwrap();
        // Above the minimum rate, so that only the stop can end it.
        for piece in post.body.chunks(5_000) {
            if stream.write_all(piece).is_err() {
                return;
            }
            let _ = sent.send(());
            thread::sleep(Duration::from_millis(100));
        }
        panic!("all of the body was taken");
    });
    sending.recv().unwrap();
    wait_until("the first piece", || {
        server.metric("pyannote_webhook_in_flight_bytes") > 0.0
    });

    let begun = Instant::now();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    let after = begun.elapsed();
    assert!((10..15).contains(&after.as_secs()), "{after:?}");
    sender.join().unwrap();
    assert!(is_empty(server.into_dir().path()));
}

#[test]
fn connections_without_a_head_are_closed() {
    let server = Server::start();
    let silent = connect(server.address);
    let mut slow = connect(server.address);
    slow.write_all(b"POST /webhook HTTP/1.1\r\nhost: a\r\nx-")
        .unwrap();
    let idle = kept_alive(&server);
    let begun = Instant::now();
    for (name, mut stream) in [("silent", silent), ("slow", slow), ("idle", idle)] {
        let _ = stream.read_to_end(&mut Vec::new());
        let after = begun.elapsed();
        assert!((4..10).contains(&after.as_secs()), "{name}: {after:?}");
    }
}

/// Returns a delivery whose first half the server has received.
fn half_sent(server: &Server) -> (TcpStream, Post) {
    let post = Post::new(bodies::diarization(&bodies::job(1), 50_000));
    let half = &post.body[..post.body.len() / 2];
    let mut stream = connect(server.address);
    stream.write_all(post.head().as_bytes()).unwrap();
    stream.write_all(half).unwrap();
    let received = f64::from(u32::try_from(half.len()).unwrap());
    wait_until("the first half", || {
        server.metric("pyannote_webhook_in_flight_bytes") == received
    });
    (stream, post)
}

/// Returns whether nothing was committed and nothing archived.
fn is_empty(dir: &Path) -> bool {
    let list = run(dir, &["inbox", "list", "--data-dir", "data"], &[]);
    assert_eq!(list.code, Some(0), "{list:?}");
    list.stdout.lines().count() == 1 && kept_in(&dir.join("data")).is_empty()
}

/// Returns a connection that has received a response and is kept alive.
fn kept_alive(server: &Server) -> TcpStream {
    let mut stream = connect(server.address);
    write!(stream, "GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    stream
}
