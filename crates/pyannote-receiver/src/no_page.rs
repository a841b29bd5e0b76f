//! Stands in for the web page where the feature `page` is off.

use std::{net::SocketAddr, path::Path, sync::Arc};

use axum::Router;
use clap::Args;
use pyannote_cli::Failure;
use pyannoteai_client::Client;
use tower_pyannote::layer::{ByteBudget, Rejection};
use tower_pyannote_inbox::Inbox;

use crate::{
    connections::Connections,
    error::ServerError,
    server::Server,
    settings::{Limits, Setting},
    state::State,
};

#[derive(Debug)]
pub(crate) enum PageSettings {}

#[derive(Debug)]
pub(crate) enum Mounted {}

/// Keeps no refusals, because no page shows them.
#[derive(Debug, Default)]
pub(crate) struct Refusals;

impl Refusals {
    pub(crate) fn note(&self, _: Rejection) {}
}

pub(crate) fn mount(
    settings: PageSettings,
    _: Arc<State>,
    _: Overview,
    _: Inbox,
    _: SocketAddr,
    _: bool,
) -> Result<(Router, Mounted), ServerError> {
    match settings {}
}

#[expect(dead_code, reason = "only the page reads it")]
pub(crate) struct Overview {
    pub(crate) listeners: Vec<(&'static str, Arc<Connections>)>,
    pub(crate) limits: Limits,
    pub(crate) budget: Option<ByteBudget>,
    pub(crate) reconciles: bool,
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
    pub(crate) client: Option<Client>,
    pub(crate) settings: Vec<Setting>,
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
