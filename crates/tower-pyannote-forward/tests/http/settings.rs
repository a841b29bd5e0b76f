//! Settings that are refused.

use std::time::Duration;

use tower_pyannote_forward::{ConfigError, Forward, ForwardBuilder};

fn error(settings: Result<ForwardBuilder, ConfigError>) -> String {
    settings
        .and_then(ForwardBuilder::build)
        .unwrap_err()
        .to_string()
}

#[test]
fn url_that_cannot_be_used_is_refused_with_its_reason() {
    let http = "the url is http: use https, or allow the private network of the endpoint with allow_private or allowed_networks";
    let cases = [
        (
            "",
            "the url is not a URL: give one like https://example.com/events",
        ),
        (
            "example.com",
            "the url is not a URL: give one like https://example.com/events",
        ),
        (
            "ftp://example.com/",
            "the url is not an http or https URL: give one like https://example.com/events",
        ),
        (
            "https://user:pass@example.com/",
            "the url has a user: remove it, and add the header authorization",
        ),
        ("http://example.com/", http),
        ("http://127.0.0.1/", http),
    ];
    for (url, expected) in cases {
        assert_eq!(error(Ok(Forward::to(url))), expected, "{url}");
    }
}

#[test]
fn address_in_the_url_is_checked_however_it_is_written() {
    let cases = [
        ("https://127.0.0.1/", "127.0.0.1"),
        ("https://127.1/", "127.0.0.1"),
        ("https://2130706433/", "127.0.0.1"),
        ("https://0x7f.0.0.1/", "127.0.0.1"),
        ("https://0177.0.0.1/", "127.0.0.1"),
        ("https://[::1]/", "::1"),
        ("https://[::ffff:10.0.0.1]/", "::ffff:10.0.0.1"),
        ("https://[64:ff9b::a9fe:a9fe]/", "64:ff9b::a9fe:a9fe"),
        ("https://169.254.169.254/latest/", "169.254.169.254"),
    ];
    for (url, address) in cases {
        let text = error(Ok(Forward::to(url)));
        let expected = format!("the url cannot be used: the address {address} is not allowed");
        assert!(text.starts_with(&expected), "{url}: {text}");
    }
    // The credentials of a cloud stay refused where private addresses are allowed.
    let metadata = Forward::to("http://169.254.169.254/").with_allow_private(true);
    assert!(metadata.build().is_err());
    for url in [
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://example.com/?a=b",
    ] {
        assert!(Forward::to(url).build().is_ok(), "{url}");
    }
    let listed = Forward::to("http://169.254.169.254/").add_allowed_network("169.254.169.254/32");
    assert!(listed.unwrap().build().is_ok());
}

#[test]
fn setting_out_of_range_is_refused_and_named() {
    let to = || Forward::to("https://example.com/");
    let minute = Duration::from_secs(60);
    let cases = [
        (
            to().with_timeout(Duration::from_millis(99)),
            "the timeout must be from 100 ms to 1 h",
        ),
        (
            to().with_timeout(61 * minute),
            "the timeout must be from 100 ms to 1 h",
        ),
        (
            to().with_in_flight(0),
            "the in_flight must be from 1 to 10000",
        ),
        (
            to().with_circuit_breaker(0, minute),
            "the circuit_breaker must have 1 to 10000 failures and be open for 10 ms to 1 h",
        ),
        (
            to().add_permanent_status(204),
            "the permanent status 204 is not from 400 to 599",
        ),
        (
            to().add_permanent_status(302),
            "the permanent status 302 is not from 400 to 599",
        ),
        (
            to().add_allowed_network("10.0.0.1"),
            "the allowed_networks \"10.0.0.1\" is not a network: give one like 10.1.0.0/16",
        ),
        (
            to().add_header("a b", "c"),
            "the header \"a b\" is not the name of a header",
        ),
        (
            to().add_header("a", "secret\n"),
            "the header \"a\" has a value with characters that a header cannot have: use visible ASCII",
        ),
        (
            to().add_header("Webhook-Id", "c"),
            "the header \"Webhook-Id\" is set by the handler: remove it",
        ),
        (
            to().add_header("content-type", "c"),
            "the header \"content-type\" is set by the handler: remove it",
        ),
        (
            to().add_header("X-Signature", "c"),
            "the header \"X-Signature\" is set by the handler: remove it",
        ),
        (
            to().add_header("a", "1")
                .and_then(|to| to.add_header("A", "2")),
            "the header \"A\" was added before: remove one",
        ),
    ];
    for (settings, expected) in cases {
        assert_eq!(error(settings), expected);
    }
}
