use std::{fmt, net::SocketAddr};

use argon2::password_hash::phc::PasswordHash;
use http::HeaderName;
use pyannoteai_client::Client;
use zeroize::Zeroizing;

/// The settings of the web page.
///
/// On a private listener with a loopback address the page needs no further setting. Anywhere else it needs a token or a
/// trusted proxy, because it shows transcripts and replays events.
#[derive(Clone)]
#[must_use]
pub struct PageSettings {
    pub(crate) token_hash: Option<String>,
    pub(crate) proxy_header: Option<HeaderName>,
    pub(crate) doctor_secrets: Zeroizing<Vec<u8>>,
    pub(crate) client: Option<Client>,
    pub(crate) facts: Vec<(String, String)>,
}

impl PageSettings {
    /// Creates settings for a page on a loopback address.
    pub fn new() -> Self {
        Self {
            token_hash: None,
            proxy_header: None,
            doctor_secrets: Zeroizing::default(),
            client: None,
            facts: Vec::new(),
        }
    }

    /// Requires the token that has this argon2 hash, `$argon2id$v=19$…`. Default: no token.
    ///
    /// # Errors
    ///
    /// Returns [`PageError::TokenHash`] if the text is not an argon2 hash.
    pub fn with_token_hash(mut self, hash: impl Into<String>) -> Result<Self, PageError> {
        let hash = hash.into();
        match PasswordHash::new(&hash) {
            Ok(parsed)
                if parsed.algorithm.as_str().starts_with("argon2") && parsed.hash.is_some() => {}
            _ => return Err(PageError::TokenHash),
        }
        self.token_hash = Some(hash);
        Ok(self)
    }

    /// Trusts a header in which a proxy names the user it has authenticated, such as `x-forwarded-user`. Default: none.
    ///
    /// Requests without the header are refused. The proxy must remove the header from the requests of its clients, and
    /// nobody else may reach the listener.
    ///
    /// # Errors
    ///
    /// Returns [`PageError::ProxyHeader`] if the text is not the name of a header.
    pub fn with_proxy_header(mut self, name: &str) -> Result<Self, PageError> {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| PageError::ProxyHeader)?;
        self.proxy_header = Some(name);
        Ok(self)
    }

    /// Sets the webhook secrets with which the page's doctor diagnoses a request, separated by commas. Default: none.
    pub fn with_doctor_secrets(mut self, secrets: impl Into<Vec<u8>>) -> Self {
        self.doctor_secrets = Zeroizing::new(secrets.into());
        self
    }

    /// Sets the client that fetches recordings. The page then plays the recording of a job, if the inbox recorded its submission
    /// with a `media://` URL. Default: no client, and the page plays only files that a person chooses on their computer.
    pub fn with_client(mut self, client: Client) -> Self {
        self.client = Some(client);
        self
    }

    /// Adds a setting to those that the page shows. It must not be a secret.
    pub fn add_fact(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.facts.push((name.into(), value.into()));
        self
    }

    /// Returns an error if other machines could open the page at this address. An address that also serves `/webhook` is
    /// behind a public proxy.
    pub(crate) fn check(&self, address: SocketAddr, is_shared: bool) -> Result<(), PageError> {
        let is_protected = self.token_hash.is_some() || self.proxy_header.is_some();
        let is_local = address.ip().to_canonical().is_loopback() && !is_shared;
        match is_protected || is_local {
            true => Ok(()),
            false => Err(PageError::Unprotected(address)),
        }
    }
}

impl Default for PageSettings {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PageSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageSettings")
            .field("has_token", &self.token_hash.is_some())
            .field("proxy_header", &self.proxy_header)
            .finish_non_exhaustive()
    }
}

/// The error of settings with which the page cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PageError {
    /// The token's hash is not an argon2 hash.
    TokenHash,
    /// The proxy's header has no valid name.
    ProxyHeader,
    /// The address is not loopback, and neither a token nor a proxy protects the page.
    Unprotected(SocketAddr),
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TokenHash => f.write_str(
                "the page's token hash is not an argon2 hash: make one with `pyannote-receiver page-token`",
            ),
            Self::ProxyHeader => {
                f.write_str("the page's proxy header is not the name of a header, such as x-forwarded-user")
            }
            Self::Unprotected(address) => write!(
                f,
                "the page would be open to everyone who reaches {address}: set a token (--page-token-hash), trust a \
                 proxy (--page-proxy-header), or turn the page off (--no-page)"
            ),
        }
    }
}

impl std::error::Error for PageError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_others_reach_or_that_is_shared_needs_a_token_or_a_proxy() {
        let open = PageSettings::new();
        for address in [
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            let address = address.parse().unwrap();
            assert_eq!(open.check(address, false), Ok(()), "{address}");
            let shared = open.check(address, true);
            assert_eq!(shared, Err(PageError::Unprotected(address)));
        }
        let proxy = PageSettings::new()
            .with_proxy_header("x-forwarded-user")
            .unwrap();
        let token = PageSettings::new().with_token_hash(HASH).unwrap();
        for address in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
            let address = address.parse().unwrap();
            let refused = open.check(address, false);
            assert_eq!(refused, Err(PageError::Unprotected(address)));
            assert_eq!(proxy.check(address, true), Ok(()));
            assert_eq!(token.check(address, true), Ok(()));
        }
    }

    #[test]
    fn what_is_no_hash_and_no_header_is_refused() {
        for hash in [
            "",
            "secret",
            "$argon2id$",
            "$argon2id$v=19$m=16,t=2,p=1$c2FsdHNhbHQ",
            "$scrypt$ln=1$c2FsdHNhbHQ$aGFzaA",
        ] {
            let error = PageSettings::new().with_token_hash(hash).unwrap_err();
            assert_eq!(error, PageError::TokenHash, "{hash}");
        }
        for name in ["", "a b", "x:"] {
            let error = PageSettings::new().with_proxy_header(name).unwrap_err();
            assert_eq!(error, PageError::ProxyHeader, "{name}");
        }
    }

    #[test]
    fn debug_has_no_secret() {
        let settings = PageSettings::new()
            .with_doctor_secrets("whs_secret")
            .with_token_hash(HASH);
        let debug = format!("{:?}", settings.unwrap());
        assert!(
            !debug.contains("whs_") && !debug.contains("argon2"),
            "{debug}"
        );
    }

    const HASH: &str =
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzYWx0$NLZ0EZ9E2ZmDPXgBvTcQMbjGpgvLwjDDrPNHcLVG2TI";
}
