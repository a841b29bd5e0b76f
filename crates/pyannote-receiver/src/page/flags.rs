use std::{net::SocketAddr, path::Path};

use clap::{ArgAction, Args, builder::BoolishValueParser};
use pyannote_cli::{Failure, print};
use pyannoteai_client::Client;

use super::{PageSettings, PageToken};
use crate::{server::Server, settings::Setting};

// The settings of the page. Not a doc comment, which would become the description of the program.
#[derive(Args)]
#[command(next_help_heading = "Web page")]
pub(crate) struct PageFlags {
    /// Serve the web page on the private address
    #[arg(
        id = "page.enabled",
        long = "page",
        env = "WEBHOOK_SERVER_PAGE",
        value_name = "BOOL",
        hide_possible_values = true,
        default_value_t = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::Set
    )]
    enabled: bool,

    /// The same as --page=false
    #[arg(long)]
    no_page: bool,

    /// The argon2 hash of the token that the web page asks for; `page-token` makes both
    #[arg(
        id = "page.token_hash",
        long = "page-token-hash",
        env = "WEBHOOK_SERVER_PAGE_TOKEN_HASH",
        hide_env_values = true,
        value_name = "HASH"
    )]
    token_hash: Option<String>,

    /// The header in which a trusted proxy names the user it has authenticated; nobody else may reach the port
    #[arg(
        id = "page.proxy_header",
        long = "page-proxy-header",
        env = "WEBHOOK_SERVER_PAGE_PROXY_HEADER",
        value_name = "HEADER"
    )]
    proxy_header: Option<String>,
}

/// The facts about the program that the page shows.
pub(crate) struct About<'a> {
    pub(crate) secrets: &'a [u8],
    pub(crate) data_dir: &'a Path,
    pub(crate) is_postgres: bool,
    pub(crate) has_handlers: bool,
    /// Whether one address serves `/webhook` and the pages.
    pub(crate) is_shared: bool,
    /// The client of the API, if there is a key.
    pub(crate) client: Option<Client>,
    /// The settings in force, secrets redacted.
    pub(crate) settings: Vec<Setting>,
}

impl PageFlags {
    /// Adds the page to a server, unless it is turned off.
    pub(crate) fn apply(&self, server: Server, about: &About<'_>) -> Result<Server, Failure> {
        Ok(match self.settings(about)? {
            Some(settings) => server.with_page(settings),
            None => server,
        })
    }

    /// Tries the settings at the address of the page. Returns `None` if the page is not served.
    pub(crate) fn check(
        &self,
        about: &About<'_>,
        address: Option<SocketAddr>,
    ) -> Result<Option<String>, Failure> {
        let Some(settings) = self.settings(about)? else {
            return Ok(None);
        };
        if let Some(address) = address {
            let checked = settings.check(address, about.is_shared);
            checked.map_err(|error| Failure::usage(error.to_string()))?;
        }
        Ok(Some(format!("open to {}", self.access())))
    }

    /// Returns whom the page is open to.
    fn access(&self) -> &'static str {
        match (&self.token_hash, &self.proxy_header) {
            (None, None) => "this machine",
            (Some(_), None) => "a token",
            (None, Some(_)) => "a trusted proxy",
            (Some(_), Some(_)) => "a token or a trusted proxy",
        }
    }

    /// Returns the settings, or `None` if the page is turned off. An address that also serves `/webhook` has no page without
    /// a token or a proxy's header, because anyone may reach it.
    fn settings(&self, about: &About<'_>) -> Result<Option<PageSettings>, Failure> {
        let is_protected = self.token_hash.is_some() || self.proxy_header.is_some();
        if !self.enabled || self.no_page || (about.is_shared && !is_protected) {
            return Ok(None);
        }
        let database = match about.is_postgres {
            true => "PostgreSQL",
            false => "SQLite",
        };
        let handlers = match about.has_handlers {
            true => "run here",
            false => "run by another receiver",
        };
        let mut settings = PageSettings::new()
            .with_doctor_secrets(about.secrets)
            .add_fact("Database", database)
            .add_fact("Data directory", about.data_dir.display().to_string())
            .add_fact("Handlers", handlers)
            .add_fact("Access to this page", self.access());
        if let Some(client) = &about.client {
            settings = settings.with_client(client.clone());
        }
        for setting in &about.settings {
            let value = setting.value.as_deref().unwrap_or("-");
            settings = settings.add_fact(&setting.key, value);
        }
        if let Some(hash) = &self.token_hash {
            let named = |error| Failure::usage(format!("--page-token-hash: {error}"));
            settings = settings.with_token_hash(hash).map_err(named)?;
        }
        if let Some(header) = &self.proxy_header {
            let named = |error| Failure::usage(format!("--page-proxy-header: {error}"));
            settings = settings.with_proxy_header(header).map_err(named)?;
        }
        Ok(Some(settings))
    }
}

/// Prints a new token and its hash.
pub(crate) fn print_token() -> Result<(), Failure> {
    let failed = |error| Failure::run(format!("cannot make a token: {error}"));
    let token = PageToken::generate().map_err(failed)?;
    print(format!(
        "token, to log in with: {}\nhash, for --page-token-hash or WEBHOOK_SERVER_PAGE_TOKEN_HASH: {}\n",
        token.secret(),
        token.hash()
    ))
}
