//! The senders: each has a connection, and sends its next delivery after the answer to the last one.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower_pyannote::testing::SignedRequest;

use crate::server::secret;

/// Sends all requests over 32 connections, and returns the time of each answer.
pub(crate) async fn deliver_all(port: u16, requests: Vec<Vec<u8>>) -> Vec<Duration> {
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(deliver(port, Arc::clone(&requests), Arc::clone(&next))))
        .collect();
    let mut times = Vec::new();
    for sender in senders {
        times.extend(sender.await.expect("a sender ends"));
    }
    times
}

async fn deliver(port: u16, requests: Arc<Vec<Vec<u8>>>, next: Arc<AtomicUsize>) -> Vec<Duration> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    let mut times = Vec::new();
    let mut answer = Vec::new();
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let sent = Instant::now();
        stream.write_all(request).await.expect("the server reads");
        answer.clear();
        while !is_whole(&answer) {
            let read = stream.read_buf(&mut answer).await;
            assert_ne!(read.expect("the server answers"), 0, "it closed");
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
        times.push(sent.elapsed());
    }
    times
}

/// Whether an answer has its head and as many bytes of a body as its `Content-Length` says.
fn is_whole(answer: &[u8]) -> bool {
    let answer = String::from_utf8_lossy(answer);
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return false;
    };
    let head = head.to_ascii_lowercase();
    let length = head.split_once("content-length: ").map(|(_, rest)| rest);
    let length = length.and_then(|rest| rest.lines().next());
    body.len() >= length.map_or(0, |length| length.parse().expect("a number"))
}

/// Renders a delivery of a job of its own, byte by byte as it is sent.
pub(crate) fn request(number: usize, bytes: usize) -> Vec<u8> {
    let head = format!(r#"{{"jobId":"job-{number:012}","status":"succeeded","padding":""#);
    // Digits that differ from body to body, so that no file system or database shares them.
    let filling = format!("{number:016}").repeat(bytes / 16 + 1);
    let body = format!("{head}{}\"}}", &filling[..bytes - head.len() - 2]);
    let signed = SignedRequest::new(&secret(), body.clone());
    let mut request = format!(
        "POST /webhook HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in &signed.headers() {
        let value = value.to_str().expect("it is ASCII");
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request.push_str(&body);
    request.into_bytes()
}

const CONNECTIONS: usize = 32;
