use std::fmt;
use std::net::IpAddr;

use reqwest::Url;
use serde::{Serialize, Serializer};

use crate::media;
use crate::request::InvalidRequest;

/// A URL that a request names, as it was given. `Debug` leaves out the user and the query, where secrets are put.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    text: String,
    shown: String,
}

impl Address {
    /// An audio: `http`, `https`, or `media` with a key.
    pub(crate) fn of_audio(text: &str) -> Result<Self, InvalidRequest> {
        if let Some(key) = text.strip_prefix(media::SCHEME) {
            media::check_key("url", key)?;
            return Ok(Self {
                text: text.to_owned(),
                shown: text.to_owned(),
            });
        }
        let invalid = "is neither http, https nor media://, give the address of an audio";
        Self::parse(text)
            .filter(|(url, _)| matches!(url.scheme(), "http" | "https"))
            .map(|(_, address)| address)
            .ok_or_else(|| InvalidRequest::new("url", invalid))
    }

    /// A webhook: `https`, or `http` on this machine, where only a simulator can deliver.
    pub(crate) fn of_webhook(text: &str) -> Result<Self, InvalidRequest> {
        let invalid = "is not https, as webhooks are delivered over https only";
        Self::parse(text)
            .filter(|(url, _)| is_secure(url))
            .map(|(_, address)| address)
            .ok_or_else(|| InvalidRequest::new("webhook", invalid))
    }

    fn parse(text: &str) -> Option<(Url, Self)> {
        let url = Url::parse(text).ok().filter(Url::has_host)?;
        let shown = without_secrets(&url);
        let text = text.to_owned();
        Some((url, Self { text, shown }))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown, f)
    }
}

/// Tells whether what is sent there is encrypted, or does not leave this machine.
pub(crate) fn is_secure(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let ip: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    match ip {
        Some(ip) => ip.is_loopback(),
        None => host == "localhost" || host.ends_with(".localhost"),
    }
}

pub(crate) fn without_secrets(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}"));
    format!(
        "{}://{host}{}{}",
        url.scheme(),
        port.unwrap_or_default(),
        url.path()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_by_the_host_alone() {
        let at = |url: &str| is_loopback(&Url::parse(url).unwrap());
        for near in [
            "http://localhost:1",
            "http://api.localhost",
            "http://127.0.0.1",
            "http://127.9.9.9:80/x",
            "http://[::1]:8000",
            "http://2130706433",
        ] {
            assert!(at(near), "{near}");
        }
        for far in [
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://127.0.0.1@example.com",
            "http://[::2]",
            "http://0.0.0.0",
            "http://10.0.0.1",
            "data:text/plain,localhost",
        ] {
            assert!(!at(far), "{far}");
        }
    }

    #[test]
    fn debug_leaves_out_user_and_query() {
        let address = Address::of_audio("https://me:pass@host:444/a.wav?token=s3cret#f").unwrap();
        assert_eq!(format!("{address:?}"), "\"https://host:444/a.wav\"");
    }
}
