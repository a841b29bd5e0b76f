//! Stands in for the web page where the feature `page` is off.

use std::{net::SocketAddr, path::Path, sync::Arc};

use axum::Router;
use clap::Args;
use pyannote_cli::Failure;
use tower_pyannote_inbox::Inbox;

use crate::{error::ServerError, server::Server, state::State};

#[derive(Debug)]
pub(crate) enum PageSettings {}

#[derive(Debug)]
pub(crate) enum Mounted {}

pub(crate) fn mount(
    settings: PageSettings,
    _: Arc<State>,
    _: Inbox,
    _: SocketAddr,
    _: bool,
) -> Result<(Router, Mounted), ServerError> {
    match settings {}
}

#[derive(Args)]
pub(crate) struct PageFlags {}

#[expect(dead_code, reason = "only the page reads it")]
pub(crate) struct About<'a> {
    pub(crate) secrets: &'a [u8],
    pub(crate) data_dir: &'a Path,
    pub(crate) is_postgres: bool,
    pub(crate) has_handlers: bool,
    pub(crate) is_shared: bool,
}

impl PageFlags {
    pub(crate) fn apply(&self, server: Server, _: &About<'_>) -> Result<Server, Failure> {
        Ok(server)
    }

    pub(crate) fn check(
        &self,
        _: &About<'_>,
        _: Option<SocketAddr>,
    ) -> Result<Option<String>, Failure> {
        Ok(None)
    }
}
