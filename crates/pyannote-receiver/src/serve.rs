use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream, lookup_host},
    sync::watch,
    task, time,
};
use tower::ServiceExt;

use crate::connections::{Connections, Progress};

/// Listens as `TcpListener::bind` does, but with a longer queue: a burst of connections that fills it has the system drop
/// the next ones, which come again only after a second.
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

/// Serves until `stop`; then takes no more connections and lets the requests in flight finish, for 10 s.
pub(crate) async fn serve(listener: TcpListener, app: Router, stop: impl Future<Output = ()>) {
    let connections = Arc::new(Connections::new());
    let (draining, drain) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let stream = accept(&listener).await;
            (stream, connections.slot().await)
        };
        let (stream, slot) = tokio::select! {
            () = &mut stop => break,
            next = next => next,
        };
        let (app, drain) = (app.clone(), drain.clone());
        connections.spawn(slot, |progress| connection(stream, app, progress, drain));
    }

    drop(listener);
    drop(draining);
    let open = connections.count();
    tracing::info!(open, "draining connections");
    match time::timeout(DRAIN, connections.none()).await {
        Ok(()) => tracing::info!("stopped"),
        Err(_) => {
            let open = connections.count();
            tracing::warn!(open, "stopped, with requests that took too long cut off");
        }
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves one connection, whose requests have a limited time each, and which ends after a while by itself.
async fn connection(
    stream: TcpStream,
    app: Router,
    progress: Arc<Progress>,
    mut drain: watch::Receiver<()>,
) {
    let answer = |request: Request<Incoming>| {
        let (app, progress) = (app.clone(), Arc::clone(&progress));
        Box::pin(async move {
            let request = progress.watch(request);
            let answer = app.oneshot(request).await;
            progress.answered();
            answer
        })
    };
    // Answers are small, and the sender waits for them.
    let _ = stream.set_nodelay(true);
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(READ_AT_ONCE)
        // A sender may close its side after its request and still read the answer. One that is gone looks the same, and
        // keeps its connection until its answer is ready, which takes seconds.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
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
        Ok(Ok(())) => hang_up(connection.into_parts().io.into_inner()).await,
        Ok(Err(error)) => tracing::debug!(%error, "connection broke"),
        Err(_) => tracing::debug!("connection cut off, as it took no answers"),
    }
}

/// Closes a connection so that the last answer arrives.
///
/// A delivery that its head betrays is answered while its body is still on the way. To close the socket then would reset
/// the connection, and its sender would see that instead of the answer; so what comes is thrown away, for a short while.
async fn hang_up(mut stream: TcpStream) {
    let leave = async {
        stream.shutdown().await?;
        let mut scrap = vec![0; 64 << 10];
        while time::timeout(LULL, stream.read(&mut scrap)).await?? > 0 {
            // What comes fast would never let go of the thread.
            task::yield_now().await;
        }
        io::Result::Ok(())
    };
    let _ = time::timeout(LINGER, leave).await;
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

/// What Linux allows if it is not told otherwise.
const QUEUE: u32 = 4096;

/// For a head, and for the time between two requests.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_HEADERS: usize = 64;

/// The most that a head may have, and that a connection reads ahead: without this, 400 KiB.
pub(crate) const READ_AT_ONCE: usize = 64 << 10;

/// Lets nobody keep a connection by sending requests without reading the answers.
const MAX_AGE: Duration = Duration::from_secs(300);

/// Longer than the layer and the handlers let a delivery take.
const LAST_REQUEST: Duration = Duration::from_secs(60);

/// How long the rest of a refused body is thrown away at most, and how long it may keep us waiting.
const LINGER: Duration = Duration::from_secs(2);
const LULL: Duration = Duration::from_millis(500);

const DRAIN: Duration = Duration::from_secs(10);
