//! Checks of URLs that know nothing of the API.

use std::net::IpAddr;

use reqwest::Url;

/// Returns whether traffic to the URL is encrypted or stays on this machine.
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

/// Returns the URL without user, query and fragment, because these may hold secrets.
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
    fn only_the_host_decides_whether_a_url_is_loopback() {
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
}
