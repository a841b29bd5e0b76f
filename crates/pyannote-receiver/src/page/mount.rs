use std::{net::SocketAddr, sync::Arc};

use axum::Router;
use tokio::sync::watch;
use tower_pyannote_inbox::Inbox;

use super::{Overview, PageSettings, PageState, router};
use crate::{error::ServerError, server::Server, state::State};

/// Ends the streams of open pages when it is dropped.
#[derive(Debug)]
pub(crate) struct Mounted {
    _stopping: watch::Sender<()>,
}

impl Server {
    /// Serves the web page on the [private listener](Self::with_private_listener) under `/page`, and its data as JSON under
    /// `/api/v1`. Default: no page.
    ///
    /// Without a token or a proxy's header in the settings, [`bind`](Self::bind) returns [`ServerError::Page`] if the address is
    /// not loopback, or if it also serves `/webhook`, because a proxy in front of `/webhook` would make the page public.
    ///
    /// # Example: a page for a team
    ///
    /// ```
    /// use pyannote_receiver::{PageSettings, Server};
    ///
    /// fn with_page(server: Server, hash: &str) -> Result<Server, Box<dyn std::error::Error>> {
    ///     Ok(server.with_page(PageSettings::new().with_token_hash(hash)?))
    /// }
    /// ```
    pub fn with_page(mut self, settings: PageSettings) -> Self {
        self.page = Some(settings);
        self
    }
}

/// Returns the routes of the page. `is_shared` says whether the address also serves `/webhook`.
pub(crate) fn mount(
    settings: PageSettings,
    state: Arc<State>,
    overview: Overview,
    inbox: Inbox,
    address: SocketAddr,
    is_shared: bool,
) -> Result<(Router, Mounted), ServerError> {
    settings
        .check(address, is_shared)
        .map_err(ServerError::Page)?;
    let (stopping, stopped) = watch::channel(());
    let page = router(PageState::new(
        inbox, state, overview, settings, address, stopped,
    ));
    let mounted = Mounted {
        _stopping: stopping,
    };
    Ok((page, mounted))
}
