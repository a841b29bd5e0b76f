use std::{
    error::Error,
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    body::{self, Body},
    http::{Request, Response},
};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_pyannote::{SigningKey, WebhookSecret};

/// Delivers as pyannoteAI does.
pub(crate) struct Sender {
    address: SocketAddr,
    key: SigningKey,
}

impl Sender {
    pub(crate) fn new(address: SocketAddr, secret: WebhookSecret) -> Self {
        let key = SigningKey::new(&secret);
        Self { address, key }
    }

    /// Delivers a body, signed `age` seconds ago.
    pub(crate) async fn deliver(&self, body: &[u8], age: u64) -> Result<u16, Box<dyn Error>> {
        self.post(body, body, age).await
    }

    /// Delivers a body that is no longer what was signed.
    pub(crate) async fn deliver_altered(&self, body: &[u8]) -> Result<u16, Box<dyn Error>> {
        let altered = String::from_utf8(body.to_vec())?.replace("SPEAKER_00", "SPEAKER_01");
        self.post(altered.as_bytes(), body, 0).await
    }

    /// Reads a page of the server.
    pub(crate) async fn get(&self, path: &str) -> Result<String, Box<dyn Error>> {
        let response = self.send(Request::get(path).body(Body::empty())?).await?;
        let bytes = body::to_bytes(Body::new(response.into_body()), 1 << 20).await?;
        Ok(String::from_utf8(bytes.to_vec())?)
    }

    async fn post(&self, body: &[u8], signed: &[u8], age: u64) -> Result<u16, Box<dyn Error>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let timestamp = now.saturating_sub(age).to_string();
        let request = Request::post("/webhook")
            .header("content-type", "application/json")
            .header("x-request-timestamp", &timestamp)
            .header("x-signature", self.key.sign(&timestamp, signed).to_hex())
            .body(Body::from(body.to_vec()))?;
        Ok(self.send(request).await?.status().as_u16())
    }

    async fn send(&self, mut request: Request<Body>) -> Result<Response<Incoming>, Box<dyn Error>> {
        let host = self.address.to_string().parse()?;
        request.headers_mut().insert("host", host);
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?)
    }
}
