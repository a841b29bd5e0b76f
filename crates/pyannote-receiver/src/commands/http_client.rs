use pyannote_cli::Failure;
use reqwest::{Client, ClientBuilder, Url};
use rustls::crypto::ring;

use crate::error::in_full;

/// Returns the builder of a client that trusts the certificate authorities of the machine.
pub(crate) fn builder(url: &Url) -> ClientBuilder {
    // Fails if the process has a provider already. The client then uses that provider.
    let _ = ring::default_provider().install_default();
    match url.scheme() {
        "https" => Client::builder(),
        // A machine without certificates can still send over http.
        _ => Client::builder().tls_certs_only([]),
    }
}

/// Returns the client, or the error in one line.
pub(crate) fn build(builder: ClientBuilder) -> Result<Client, Failure> {
    let built = builder.build();
    built.map_err(|error| Failure::run(format!("cannot set up TLS: {}", in_full(&error))))
}
