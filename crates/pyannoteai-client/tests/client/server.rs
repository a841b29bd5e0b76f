use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An API on loopback that records requests and answers with prepared replies.
#[derive(Clone)]
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    requests: Vec<Recorded>,
    replies: VecDeque<Reply>,
}

#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Recorded {
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    never: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            never: false,
        }
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// Reads the request and never answers.
    pub(crate) fn never() -> Self {
        let mut reply = Self::new(200, "");
        reply.never = true;
        reply
    }

    pub(crate) fn submitted() -> Self {
        Self::new(200, r#"{"jobId":"job-1","status":"created"}"#)
    }

    pub(crate) fn job(status: &str) -> Self {
        Self::new(200, format!(r#"{{"jobId":"job-1","status":"{status}"}}"#))
    }

    fn into_response(self) -> Response {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(Body::from(self.body)).unwrap()
    }
}

impl Server {
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Shared {
            requests: Vec::new(),
            replies: replies.into_iter().collect(),
        };
        let server = Self {
            address: listener.local_addr().unwrap(),
            shared: Arc::new(Mutex::new(shared)),
        };
        let app = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async { axum::serve(listener, app).await });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn reply(&self, reply: Reply) {
        self.shared.lock().unwrap().replies.push_back(reply);
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.shared.lock().unwrap().requests.clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().iter().map(Recorded::line).collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.shared.lock().unwrap().requests.len()
    }
}

async fn answer(State(server): State<Server>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return Reply::new(400, "").into_response();
    };
    let reply = {
        let mut shared = server.shared.lock().unwrap();
        shared.requests.push(Recorded {
            method: head.method.to_string(),
            path: head.uri.to_string(),
            headers: head.headers,
            body,
        });
        shared.replies.pop_front()
    };
    let reply = reply.unwrap_or_else(|| Reply::new(599, "no reply prepared"));
    if reply.never {
        std::future::pending::<()>().await;
    }
    reply.into_response()
}

/// The reaction of a [`RawServer`] to a complete request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behavior {
    /// Answers and keeps the connection.
    Answer,
    /// Answers and closes the connection.
    AnswerAndClose,
    /// Closes the connection.
    Close,
    /// Resets the connection.
    Reset,
    /// Answers with a body shorter than announced.
    Cut,
    /// Sends nothing.
    Hang,
}

/// An API that counts complete requests on raw connections, without an HTTP library.
#[derive(Clone)]
pub(crate) struct RawServer {
    address: SocketAddr,
    shared: Arc<Mutex<(VecDeque<Behavior>, usize)>>,
}

impl RawServer {
    pub(crate) async fn start(behaviors: impl IntoIterator<Item = Behavior>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            shared: Arc::new(Mutex::new((behaviors.into_iter().collect(), 0))),
        };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the number of complete requests.
    pub(crate) fn count(&self) -> usize {
        self.shared.lock().unwrap().1
    }

    async fn serve(self, mut stream: TcpStream) {
        while read_request(&mut stream).await {
            let behavior = {
                let mut shared = self.shared.lock().unwrap();
                shared.1 += 1;
                shared.0.pop_front().unwrap_or(Behavior::Answer)
            };
            match behavior {
                Behavior::Answer => stream.write_all(ANSWER).await.unwrap(),
                Behavior::AnswerAndClose => return stream.write_all(ANSWER).await.unwrap(),
                Behavior::Cut => {
                    stream.write_all(&ANSWER[..ANSWER.len() - 1]).await.unwrap();
                    return;
                }
                Behavior::Close => return,
                Behavior::Reset => return stream.set_zero_linger().unwrap(),
                Behavior::Hang => std::future::pending().await,
            }
        }
    }
}

/// Reads a complete request. Returns false if the connection ends first.
async fn read_request(stream: &mut TcpStream) -> bool {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() == length.map_or(0, |length| length.parse().unwrap()) {
                return true;
            }
        }
        match stream.read_buf(&mut read).await {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
    }
}

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-length: 36\r\n\r\n{\"jobId\":\"job-1\",\"status\":\"created\"}";
