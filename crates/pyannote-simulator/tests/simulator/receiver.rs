//! A receiver with scripted answers, one for each connection.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Instant, SystemTime},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tower_pyannote::{Verifier, verify::VerifyError};

use crate::simulated::secret;

/// The answer to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Status(u16),
    /// 307 to the receiver itself.
    Redirect,
    /// No answer, and the connection stays open.
    Silence,
    /// No answer, and the connection is closed.
    Close,
    /// Something that is not HTTP.
    Garbage,
    /// 200 if the signature is valid, else 401.
    Verify,
}

/// A request that was received.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// False if the connection ended before the body did.
    pub(crate) whole: bool,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Returns the number and the reason of the retry.
    pub(crate) fn retry(&self) -> (Option<&str>, Option<&str>) {
        (self.header("x-retry-num"), self.header("x-retry-reason"))
    }

    pub(crate) fn verify(&self) -> Result<(), VerifyError> {
        let value = |name| self.header(name).map(str::as_bytes);
        let (timestamp, signature) = (value("x-request-timestamp"), value("x-signature"));
        Verifier::new(secret())
            .verify(timestamp, signature, &self.body, SystemTime::now())
            .map(|_| ())
    }

    pub(crate) fn job(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        body["jobId"].as_str().unwrap().to_owned()
    }
}

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Starts a receiver. When the answers run out, it repeats the last one.
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut answers: VecDeque<Answer> = answers.into_iter().collect();
        let task = tokio::spawn({
            let seen = Arc::clone(&seen);
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let answer = match answers.len() {
                        1 => answers[0],
                        _ => answers.pop_front().unwrap(),
                    };
                    tokio::spawn(converse(stream, address, answer, Arc::clone(&seen)));
                }
            }
        });
        Self {
            address,
            seen,
            task,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(
    mut stream: TcpStream,
    address: SocketAddr,
    answer: Answer,
    all: Arc<Mutex<Vec<Seen>>>,
) {
    let at = Instant::now();
    let Some(seen) = read(&mut stream, at).await else {
        return;
    };
    let answer = match answer {
        Answer::Verify if seen.whole && seen.verify().is_ok() => Answer::Status(200),
        Answer::Verify => Answer::Status(401),
        other => other,
    };
    let whole = seen.whole;
    all.lock().unwrap().push(seen);
    let head = match answer {
        Answer::Status(status) => format!("HTTP/1.1 {status} Any\r\n"),
        Answer::Redirect => {
            format!("HTTP/1.1 307 Temporary\r\nlocation: http://{address}/again\r\n")
        }
        Answer::Garbage => "HELO\r\n".to_owned(),
        Answer::Silence => {
            // Wait until the sender closes the connection.
            let _ = stream.read(&mut [0]).await;
            return;
        }
        Answer::Close | Answer::Verify => return,
    };
    if whole {
        let head = format!("{head}content-length: 0\r\nconnection: close\r\n\r\n");
        let _ = stream.write_all(head.as_bytes()).await;
    }
}

/// Reads a request. Returns `None` if the connection ended within the head.
async fn read(stream: &mut TcpStream, at: Instant) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut end = None;
    let mut length = 0;
    let mut headers = BTreeMap::new();
    let whole = loop {
        if end.is_none() {
            let found = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(found) = found {
                end = Some(found + 4);
                let head = String::from_utf8(bytes[..found].to_vec()).unwrap();
                for line in head.lines().skip(1) {
                    let (name, value) = line.split_once(": ").unwrap();
                    headers.insert(name.to_lowercase(), value.to_owned());
                }
                length = headers["content-length"].parse().unwrap();
            }
        }
        if end.is_some_and(|end| bytes.len() == end + length) {
            break true;
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => break false,
            Ok(_) => {}
        }
    };
    let body = bytes[end?..].to_vec();
    Some(Seen {
        at,
        headers,
        body,
        whole,
    })
}
