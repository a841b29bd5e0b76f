//! Other crates that check headers, freshness and an HMAC-SHA256.

use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use webhook_verify::{Provider, Secret, VerifyOptions};

use crate::SECRET;

/// A delivery and its verifier.
pub struct Peer {
    pub name: &'static str,
    pub verify: Box<dyn Fn() -> bool>,
}

/// Returns all peers over one body. They read the system's clock, so the body is signed now.
pub fn all(body: &bytes::Bytes) -> [Peer; 3] {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("it is past 1970").as_secs();
    [
        standardwebhooks(body.clone(), now),
        svix(body.clone(), now),
        webhook_verify(body.clone(), now),
    ]
}

/// The two peers that follow Standard Webhooks sign `id.timestamp.body`.
fn standard_headers(signature: &str, now: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let values = [
        ("webhook-id", ID),
        ("webhook-timestamp", &now.to_string()),
        ("webhook-signature", signature),
    ];
    for (name, value) in values {
        headers.insert(name, value.parse().expect("it is ASCII"));
    }
    headers
}

fn standardwebhooks(body: bytes::Bytes, now: u64) -> Peer {
    let key = standardwebhooks::Webhook::from_bytes(SECRET.as_bytes().to_vec());
    let key = key.expect("any bytes are a key");
    let signature = key.sign(ID, now as i64, &body).expect("it is text");
    let headers = standard_headers(&signature, now);
    Peer {
        name: "standardwebhooks",
        verify: Box::new(move || key.verify(&body, &headers).is_ok()),
    }
}

fn svix(body: bytes::Bytes, now: u64) -> Peer {
    let key = svix::webhooks::Webhook::from_bytes(SECRET.as_bytes().to_vec());
    let key = key.expect("any bytes are a key");
    let signature = key.sign(ID, now as i64, &body).expect("it is text");
    let headers = standard_headers(&signature, now);
    Peer {
        name: "svix",
        verify: Box::new(move || key.verify(&body, &headers).is_ok()),
    }
}

/// Slack's scheme differs from pyannoteAI's only in the names of the headers.
fn webhook_verify(body: bytes::Bytes, now: u64) -> Peer {
    let secret = tower_pyannote::WebhookSecret::new(SECRET).expect("the secret is valid");
    let key = tower_pyannote::SigningKey::new(&secret);
    let signature = key.sign(now.to_string(), &body).to_hex();
    let headers = vec![
        ("X-Slack-Request-Timestamp".to_owned(), now.to_string()),
        ("X-Slack-Signature".to_owned(), format!("v0={signature}")),
    ];
    let secret = Secret::new(SECRET);
    Peer {
        name: "webhook-verify",
        verify: Box::new(move || {
            let options = VerifyOptions::default();
            webhook_verify::verify(Provider::Slack, &headers, &body, &secret, options).is_ok()
        }),
    }
}

const ID: &str = "msg_0123456789";
