use std::{
    error::Error,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use axum::{
    body::{self, Body},
    http::{Request, Response},
};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_pyannote::{WebhookSecret, testing::SignedRequest};

/// Delivers as pyannoteAI does.
pub(crate) struct Sender {
    address: SocketAddr,
    secret: WebhookSecret,
}

impl Sender {
    pub(crate) fn new(address: SocketAddr, secret: WebhookSecret) -> Self {
        Self { address, secret }
    }

    /// Delivers a body, signed `age` seconds ago.
    pub(crate) async fn deliver(&self, body: &[u8], age: u64) -> Result<u16, Box<dyn Error>> {
        let at = SystemTime::now() - Duration::from_secs(age);
        self.post(self.signed(body).with_signed_at(at)).await
    }

    /// Delivers a body that is no longer what was signed.
    pub(crate) async fn deliver_altered(&self, body: &[u8]) -> Result<u16, Box<dyn Error>> {
        let altered = String::from_utf8(body.to_vec())?.replace("SPEAKER_00", "SPEAKER_01");
        self.post(self.signed(body).with_tampered_body(altered))
            .await
    }

    fn signed(&self, body: &[u8]) -> SignedRequest {
        SignedRequest::new(&self.secret, body.to_vec())
    }

    async fn post(&self, request: SignedRequest) -> Result<u16, Box<dyn Error>> {
        Ok(self.send(request.to_request()).await?.status().as_u16())
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, Box<dyn Error>> {
        send(self.address, request).await
    }
}

/// Reads a page of the server.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Result<String, Box<dyn Error>> {
    let response = send(address, Request::get(path).body(Body::empty())?).await?;
    let bytes = body::to_bytes(Body::new(response.into_body()), 1 << 20).await?;
    Ok(String::from_utf8(bytes.to_vec())?)
}

async fn send(
    address: SocketAddr,
    mut request: Request<Body>,
) -> Result<Response<Incoming>, Box<dyn Error>> {
    let host = address.to_string().parse()?;
    request.headers_mut().insert("host", host);
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}
