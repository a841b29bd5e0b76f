use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    net::IpAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    http::{
        HeaderValue, StatusCode,
        header::{CONNECTION, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream, lookup_host},
    sync::watch,
    task, time,
};
use tower::ServiceExt;

use crate::{
    clients::Clients,
    connections::Connections,
    heads::{self, Watched},
    limits::READ_AT_ONCE,
    progress::Progress,
};

/// Listens like `TcpListener::bind`, but with a longer queue, because when a burst fills the queue the system drops
/// connections, and their senders retry only after 1 s.
pub(crate) async fn listen(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut failed = io::ErrorKind::AddrNotAvailable.into();
    for address in lookup_host((host, port)).await? {
        let socket = match address.is_ipv4() {
            true => TcpSocket::new_v4()?,
            false => TcpSocket::new_v6()?,
        };
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        match socket.bind(address).and_then(|()| socket.listen(QUEUE)) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// What a listener serves, and how.
pub(crate) struct Serving {
    /// The service of the moment. It changes when a secret does.
    pub(crate) app: watch::Receiver<Router>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) clients: Arc<Clients>,
    /// How long requests in flight may take after `stop`.
    pub(crate) drain: Duration,
}

/// Serves until `stop` completes, then accepts no more connections and gives the requests in flight some time.
pub(crate) async fn serve(listener: TcpListener, serving: Serving, stop: impl Future<Output = ()>) {
    let Serving {
        app,
        connections,
        clients,
        drain: drain_timeout,
    } = serving;
    let (draining, drain) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let (stream, peer) = accept(&listener).await;
            let Ok(counted) = clients.connect(peer) else {
                tracing::debug!(%peer, "too many connections of one address: closed the new one");
                return None;
            };
            Some((stream, peer, counted, connections.slot().await))
        };
        let (stream, peer, counted, slot) = tokio::select! {
            () = &mut stop => break,
            next = next => match next {
                Some(next) => next,
                None => continue,
            },
        };
        let requests = Requests {
            app: app.clone(),
            clients: Arc::clone(&clients),
            peer,
        };
        let drain = drain.clone();
        connections.spawn(slot, |progress| async move {
            connection(stream, requests, progress, drain).await;
            drop(counted);
        });
    }

    drop(listener);
    drop(draining);
    let open = connections.count();
    tracing::info!(open, "draining connections");
    match time::timeout(drain_timeout, connections.none()).await {
        Ok(()) => tracing::info!("stopped"),
        Err(_) => {
            let open = connections.count();
            tracing::warn!(
                open,
                "stopped; requests in flight exceeded {} s and were cut off",
                drain_timeout.as_secs()
            );
        }
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, IpAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer.ip()),
            Err(error) if is_transient(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Answers the requests of one connection.
#[derive(Clone)]
struct Requests {
    app: watch::Receiver<Router>,
    clients: Arc<Clients>,
    peer: IpAddr,
}

impl Requests {
    async fn respond(
        self,
        request: Request<Incoming>,
        progress: Arc<Progress>,
        is_last: bool,
    ) -> Result<Response, Infallible> {
        if let Some(reason) = heads::violation(&request) {
            tracing::debug!(reason, "refused a request with 400");
            return Ok(closing(StatusCode::BAD_REQUEST.into_response()));
        }
        let Ok(_counted) = self.clients.request(self.peer, request.headers()) else {
            tracing::debug!("too many requests of one client: refused one with 503");
            let busy = (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")]);
            return Ok(closing(busy.into_response()));
        };
        let app = self.app.borrow().clone();
        let response = app.oneshot(progress.watch(request)).await;
        progress.answered();
        match is_last {
            true => response.map(closing),
            false => response,
        }
    }
}

/// Makes a response the last one of its connection.
fn closing(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// Serves one connection. Each request and the connection have a timeout.
async fn connection(
    stream: TcpStream,
    requests: Requests,
    progress: Arc<Progress>,
    mut drain: watch::Receiver<()>,
) {
    // Responses are small, and the sender waits for them.
    let _ = stream.set_nodelay(true);
    let (stream, framing) = Watched::new(stream);
    let respond = |request: Request<Incoming>| {
        // hyper calls this before it reads on.
        let is_last = framing.begin(&request);
        let progress = Arc::clone(&progress);
        Box::pin(requests.clone().respond(request, progress, is_last))
    };
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(READ_AT_ONCE)
        // A sender may close its side after its request and still read the response.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service_fn(respond));
    let serve = poll_fn(|cx| {
        let ended = connection.poll_without_shutdown(cx);
        progress.read();
        ended
    });
    let ended = tokio::select! {
        ended = serve => Some(ended),
        _ = drain.changed() => None,
        () = time::sleep(MAX_AGE) => None,
    };
    let ended = match ended {
        Some(ended) => Ok(ended),
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            let rest = poll_fn(|cx| connection.poll_without_shutdown(cx));
            time::timeout(LAST_REQUEST, rest).await
        }
    };
    match ended {
        Ok(Ok(())) => hang_up(connection.into_parts().io.into_inner().into_inner()).await,
        Ok(Err(error)) => tracing::debug!(%error, "the connection failed"),
        Err(_) => tracing::debug!("the connection was cut off because its last request timed out"),
    }
}

/// Closes a connection so that the last response arrives.
///
/// A delivery that is invalid by its headers gets its response while its body still arrives. Closing the socket then would
/// reset the connection, and the sender would not see the response. So the body is read and discarded for a short time.
async fn hang_up(mut stream: TcpStream) {
    let leave = async {
        stream.shutdown().await?;
        let mut discarded = vec![0; 64 << 10];
        while time::timeout(LULL, stream.read(&mut discarded)).await?? > 0 {
            // A fast sender would occupy the thread.
            task::yield_now().await;
        }
        io::Result::Ok(())
    };
    let _ = time::timeout(LINGER, leave).await;
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

/// Linux's default maximum.
const QUEUE: u32 = 4096;

/// Applies to a head, and to the time between two requests.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_HEADERS: usize = 64;

/// Ends connections of senders that do not read their responses.
const MAX_AGE: Duration = Duration::from_secs(300);

/// Longer than a delivery can take.
const LAST_REQUEST: Duration = Duration::from_secs(60);

/// How long the rest of a refused body is discarded, and how long it may pause.
const LINGER: Duration = Duration::from_secs(2);
const LULL: Duration = Duration::from_millis(500);
