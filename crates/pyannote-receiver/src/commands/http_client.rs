use pyannote_cli::Failure;
use reqwest::{Client, ClientBuilder, Url};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::error::in_full;

/// Returns the builder of a client that trusts the certificates of the machine.
pub(super) fn builder(url: &Url) -> Result<ClientBuilder, Failure> {
    let tls = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    // A machine without certificates can still send over http.
    let tls = match url.scheme() {
        "https" => tls
            .with_platform_verifier()
            .map_err(|error| failed(&error))?,
        _ => tls.with_root_certificates(RootCertStore::empty()),
    };
    Ok(Client::builder().tls_backend_preconfigured(tls.with_no_client_auth()))
}

/// Returns the client, or the error in one line.
pub(super) fn build(builder: ClientBuilder) -> Result<Client, Failure> {
    builder.build().map_err(|error| failed(&error))
}

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::run(format!("cannot set up TLS: {}", in_full(error)))
}
