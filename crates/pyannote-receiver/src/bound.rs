use std::{
    fmt,
    future::{Future, pending},
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
};

use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};
use tower_pyannote_inbox::{InboxWorker, Reconciler};

use crate::{
    error::ServerError,
    page::Mounted,
    rotation::Rotation,
    serve::{self, Serving},
    state::State,
};

/// A receiver that listens. [`run_until`](Self::run_until) starts to serve.
#[derive(Debug)]
#[must_use = "a receiver responds to nothing until it runs"]
pub struct BoundServer {
    pub(crate) public: Option<Listener>,
    pub(crate) private: Option<Listener>,
    pub(crate) state: Arc<State>,
    pub(crate) page: Option<Mounted>,
    pub(crate) work: Work,
    pub(crate) rotation: Rotation,
}

/// A socket that listens, and what it serves.
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    serving: Serving,
}

impl Listener {
    pub(crate) fn new(socket: TcpListener, serving: Serving) -> io::Result<Self> {
        let address = socket.local_addr()?;
        Ok(Self {
            socket,
            address,
            serving,
        })
    }

    async fn serve(self, stop: impl Future<Output = ()>) {
        serve::serve(self.socket, self.serving, stop).await;
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// What a receiver does besides serving.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) worker: Option<InboxWorker>,
    pub(crate) reconciler: Option<Reconciler>,
    /// Reconcilers that replace the one before.
    pub(crate) replacements: mpsc::UnboundedReceiver<Reconciler>,
}

impl BoundServer {
    /// Returns the address on which the receiver listens: the public one, or the private one of a receiver without
    /// `/webhook`.
    ///
    /// # Panics
    ///
    /// Never: a receiver has at least one listener.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let listener = self.public.as_ref().or(self.private.as_ref());
        listener
            .expect("`bind` makes at least one listener")
            .address
    }

    /// Returns the address of the private listener. Returns `None` if there is one listener for all.
    #[must_use]
    pub fn private_address(&self) -> Option<SocketAddr> {
        self.private.as_ref().map(|listener| listener.address)
    }

    /// Returns a handle that replaces secrets while the receiver runs.
    #[must_use]
    pub fn rotation(&self) -> Rotation {
        self.rotation.clone()
    }

    /// Serves until `stop` completes, then drains: requests and handlers in flight have the
    /// [drain timeout](crate::Server::with_drain_timeout) to complete. The private listener serves until they are done.
    ///
    /// # Errors
    ///
    /// Returns [`ServerError::Worker`] or [`ServerError::WorkerPanicked`] if the inbox's worker ended by itself. The
    /// receiver then drains too, because it must not acknowledge events that nobody handles.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), ServerError> {
        let (stopping, stopped) = watch::channel(());
        let (drained, all_drained) = watch::channel(());
        let Work {
            worker,
            reconciler,
            replacements,
        } = self.work;
        let stopped_worker = closed(&stopped);
        let mut worked = tokio::spawn(async {
            match worker {
                Some(worker) => worker.run_until(stopped_worker).await,
                None => {
                    stopped_worker.await;
                    Ok(())
                }
            }
        });
        let served = async {
            if let Some(public) = self.public {
                public.serve(closed(&stopped)).await;
            }
        };
        let private = async {
            if let Some(private) = self.private {
                private.serve(closed(&all_drained)).await;
            }
        };
        let reconciled = reconcile(reconciler, replacements, &stopped);
        let (state, page) = (self.state, self.page);
        let worked = async {
            let ended = tokio::select! {
                ended = &mut worked => Some(ended),
                () = stop => None,
            };
            state.draining.store(true, Ordering::Relaxed);
            drop((stopping, page));
            match ended {
                Some(ended) => ended,
                None => worked.await,
            }
        };
        let work = async {
            let ((), (), worked) = tokio::join!(served, reconciled, worked);
            drop(drained);
            worked
        };
        let (worked, ()) = tokio::join!(work, private);
        match worked {
            Ok(worked) => worked.map_err(ServerError::Worker),
            Err(panic) => Err(ServerError::WorkerPanicked(panic.to_string())),
        }
    }
}

/// Runs a reconciler until the receiver stops, or until another one replaces it.
async fn reconcile(
    mut reconciler: Option<Reconciler>,
    mut replacements: mpsc::UnboundedReceiver<Reconciler>,
    stopped: &watch::Receiver<()>,
) {
    while let Some(running) = reconciler.take() {
        let (replaced, stop_running) = watch::channel(());
        let replace = async {
            match replacements.recv().await {
                Some(next) => {
                    drop(replaced);
                    next
                }
                None => pending().await,
            }
        };
        let stop = async {
            tokio::select! {
                () = closed(stopped) => {}
                () = closed(&stop_running) => {}
            }
        };
        let mut running = std::pin::pin!(running.run_until(stop));
        tokio::select! {
            () = &mut running => {}
            next = replace => {
                running.await;
                reconciler = Some(next);
            }
        }
    }
}

/// Completes when the sender of a channel is dropped.
fn closed(channel: &watch::Receiver<()>) -> impl Future<Output = ()> + Send + 'static {
    let mut channel = channel.clone();
    async move {
        let _ = channel.changed().await;
    }
}
