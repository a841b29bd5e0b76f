//! A blocking HTTP client that controls every byte of a request.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tower_pyannote::{SigningKey, WebhookSecret};

pub use crate::delivery::SECRET;

/// A response.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Reads a response up to the end of the connection. Returns `None` if the connection breaks before.
    pub fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some(Self {
            status: head.split(' ').nth(1)?.parse().ok()?,
            head: head.to_owned(),
            body: body.to_owned(),
        })
    }
}

/// Opens a connection whose reads and writes time out.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends a GET request.
pub fn get(address: SocketAddr, path: &str, accept: &str) -> Answer {
    let mut stream = connect(address);
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: {accept}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    Answer::read(&mut stream).unwrap()
}

/// A delivery of a webhook. Unless a test changes it, it is what pyannoteAI sends.
#[derive(Clone)]
pub struct Post {
    /// The body.
    pub body: Vec<u8>,
    /// The headers that differ between deliveries.
    pub headers: Vec<(&'static str, String)>,
    chunked: bool,
}

impl Post {
    /// Creates a delivery that is signed now with [`SECRET`].
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self::signed_with(SECRET, body, 0)
    }

    /// Creates a delivery that was signed with `secret`, `age` seconds ago.
    pub fn signed_with(secret: &str, body: impl Into<Vec<u8>>, age: i64) -> Self {
        let body = body.into();
        let timestamp = now().checked_add_signed(-age).unwrap().to_string();
        let signature = key(secret).sign(&timestamp, &body).to_hex();
        Self {
            body,
            headers: vec![
                ("x-request-timestamp", timestamp),
                ("x-signature", signature),
            ],
            chunked: false,
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Replaces the signature. The closure gets the key, the timestamp and the body.
    pub fn with_signature(
        mut self,
        signature: impl FnOnce(&SigningKey, &str, &[u8]) -> String,
    ) -> Self {
        self.headers[1].1 = signature(&key(SECRET), &self.headers[0].1, &self.body);
        self
    }

    /// Removes a header.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| *header != name);
        self
    }

    /// Sends the body in chunks, without `Content-Length`.
    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// Returns the value of `X-Signature`.
    pub fn signature(&self) -> &str {
        &self.headers[1].1
    }

    /// Returns the request line and the headers.
    pub fn head(&self) -> String {
        let mut head = "POST /webhook HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n".to_owned();
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if self.chunked {
            head += "transfer-encoding: chunked\r\n";
        } else if !self
            .headers
            .iter()
            .any(|(name, _)| *name == "content-length")
        {
            head += &format!("content-length: {}\r\n", self.body.len());
        }
        head + "\r\n"
    }

    /// Sends the delivery. Returns `None` if the connection breaks before the response ends.
    pub fn try_send(&self, address: SocketAddr) -> Option<Answer> {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(self.head().as_bytes()).ok()?;
        if self.chunked {
            for chunk in self.body.chunks(70_001) {
                write!(stream, "{:x}\r\n", chunk.len()).ok()?;
                stream.write_all(chunk).ok()?;
                stream.write_all(b"\r\n").ok()?;
            }
            stream.write_all(b"0\r\n\r\n").ok()?;
        } else {
            stream.write_all(&self.body).ok()?;
        }
        Answer::read(&mut stream)
    }

    /// Sends the delivery and returns the response.
    pub fn send(&self, address: SocketAddr) -> Answer {
        self.try_send(address).expect("an answer")
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn key(secret: &str) -> SigningKey {
    SigningKey::new(&WebhookSecret::new(secret).unwrap())
}

const PATIENCE: Duration = Duration::from_secs(30);
