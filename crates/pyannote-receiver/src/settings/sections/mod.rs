//! All settings. The id of an argument is its key in the settings file; the flag, the variable, the default and the help
//! text stand beside it.

mod common;
mod database;
mod limits;
mod listen;
mod pass_on;
mod reconcile;
mod worker;

use clap::Args;

pub(crate) use self::{
    common::{Common, WebhookSecret},
    database::Database,
    limits::Limits,
    listen::Listen,
    pass_on::PassOn,
    reconcile::Reconcile,
    worker::Worker,
};
use super::Role;
use crate::page::PageFlags;

// The settings of `serve`.
#[derive(Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    pub(crate) listen: Listen,
    #[command(flatten)]
    pub(crate) database: Database,
    #[command(flatten)]
    pub(crate) worker: Worker,
    #[command(flatten)]
    pub(crate) pass_on: PassOn,
    #[command(flatten)]
    pub(crate) reconcile: Reconcile,
    #[command(flatten)]
    pub(crate) limits: Limits,
    #[command(flatten)]
    pub(crate) page: PageFlags,
    #[command(flatten)]
    pub(crate) secrets: WebhookSecret,
}

impl Settings {
    /// Returns whether this process has a role. `--reconcile` adds one.
    pub(crate) fn has(&self, role: Role) -> bool {
        let is_added = role == Role::Reconcile && self.reconcile.enabled;
        is_added || self.listen.roles.contains(&role)
    }

    /// Returns whether this process runs handlers.
    pub(crate) fn handles(&self) -> bool {
        self.has(Role::Work) && self.worker.handlers()
    }

    /// Returns whether this process fetches outputs before its handlers run.
    pub(crate) fn fetches(&self) -> bool {
        self.handles() && self.worker.fetch_output
    }

    pub(crate) fn needs_api_key(&self) -> bool {
        self.has(Role::Reconcile) || self.fetches()
    }

    /// Returns the flag for which the API key is needed.
    pub(crate) fn flag_of_api_key(&self) -> &'static str {
        match (self.has(Role::Reconcile), self.fetches()) {
            (true, _) => "--reconcile",
            (false, true) => "--fetch-output",
            (false, false) => "the page's recordings",
        }
    }
}
