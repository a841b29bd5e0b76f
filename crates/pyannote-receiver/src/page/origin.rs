//! Where a request comes from, and which name it uses for this machine.

use std::net::IpAddr;

use http::{
    HeaderMap, HeaderValue, Uri,
    header::{HOST, ORIGIN},
};

/// Returns whether a browser sent the request from a page of this host. Other programs send neither header.
pub(super) fn is_same_origin(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        Some(site) => site == b"same-origin",
        None => match headers.get(ORIGIN) {
            Some(origin) => {
                let origin = origin
                    .to_str()
                    .ok()
                    .and_then(|origin| origin.parse::<Uri>().ok());
                let host = headers.get(HOST).and_then(|host| host.to_str().ok());
                let authority = origin.as_ref().and_then(|origin| origin.authority());
                authority.is_some_and(|authority| Some(authority.as_str()) == host)
            }
            None => true,
        },
    }
}

/// Returns whether a browser sent the request from a page that it loaded over HTTPS. Browsers send `Origin` with each POST.
pub(super) fn is_from_https(headers: &HeaderMap) -> bool {
    let origin = headers.get(ORIGIN).map(HeaderValue::as_bytes);
    origin.is_some_and(|origin| origin.starts_with(b"https://"))
}

/// Returns whether a page of another site loads this address as a part of itself. A person may still follow a link to here.
pub(super) fn is_embedded_elsewhere(headers: &HeaderMap) -> bool {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|it| it == value);
    let is_other = is("sec-fetch-site", "cross-site") || is("sec-fetch-site", "same-site");
    is_other && !(is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document"))
}

/// Returns whether the request names this machine. Otherwise another web site could point its host name at this machine (DNS
/// rebinding), and read a page that no token protects.
pub(super) fn is_local(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = host.and_then(|host| host.parse::<http::uri::Authority>().ok());
    authority.is_some_and(|authority| {
        let host = authority.host();
        let address = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>();
        host.eq_ignore_ascii_case("localhost")
            || address.is_ok_and(|ip| ip.to_canonical().is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:8000",
            "127.1.2.3",
            "[::1]:8000",
        ] {
            assert!(is_local(&headers(&[("host", host)])), "{host}");
        }
        for host in [
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "10.0.0.1",
            "",
            "[::]",
            "a@b",
        ] {
            assert!(!is_local(&headers(&[("host", host)])), "{host}");
        }
        assert!(!is_local(&headers(&[])));
    }

    #[test]
    fn only_pages_of_this_host_may_change_something() {
        let host = ("host", "127.0.0.1:8000");
        for accepted in [
            &[host, ("sec-fetch-site", "same-origin")][..],
            &[host, ("origin", "http://127.0.0.1:8000")],
            &[host],
        ] {
            assert!(is_same_origin(&headers(accepted)), "{accepted:?}");
        }
        for refused in [
            &[
                host,
                ("sec-fetch-site", "cross-site"),
                ("origin", "http://127.0.0.1:8000"),
            ][..],
            &[host, ("sec-fetch-site", "same-site")],
            &[host, ("sec-fetch-site", "none")],
            &[host, ("origin", "http://127.0.0.1:9000")],
            &[host, ("origin", "null")],
            &[("origin", "http://127.0.0.1:8000")],
        ] {
            assert!(!is_same_origin(&headers(refused)), "{refused:?}");
        }
    }
}
