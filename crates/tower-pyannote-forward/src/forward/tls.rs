use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::config_error::ConfigError;

/// Configures TLS with ring and the certificates of this machine.
///
/// If the endpoint needs no TLS and the machine has no certificates, the client trusts no server.
pub(super) fn config(required: bool) -> Result<ClientConfig, ConfigError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let failed = |error: rustls::Error| {
        let reason = format!("cannot be set up: {error}; install this machine's certificates");
        ConfigError::new("tls", reason)
    };
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let config = match versions.clone().with_platform_verifier() {
        Ok(config) => config,
        Err(error) if required => return Err(failed(error)),
        Err(_) => versions.with_root_certificates(RootCertStore::empty()),
    };
    Ok(config.with_no_client_auth())
}
