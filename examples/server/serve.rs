use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time,
};
use tower::ServiceExt;

/// Serves until `stop`; then takes no more connections and lets the requests in flight finish, for 10 s.
pub(crate) async fn serve(listener: TcpListener, app: Router, stop: impl Future<Output = ()>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (draining, drain) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let (stream, slot) = tokio::select! {
            () = &mut stop => break,
            connection = accept(&listener, &slots) => connection,
        };
        let (app, drain) = (app.clone(), drain.clone());
        tokio::spawn(async move {
            connection(stream, app, drain).await;
            drop(slot);
        });
    }

    drop(listener);
    drop(draining);
    let open = MAX_CONNECTIONS - slots.available_permits();
    tracing::info!(open, "draining connections");
    let all = u32::try_from(MAX_CONNECTIONS).expect("a few hundred");
    match time::timeout(DRAIN, slots.acquire_many(all)).await {
        Ok(_) => tracing::info!("stopped"),
        Err(_) => {
            let open = MAX_CONNECTIONS - slots.available_permits();
            tracing::warn!(open, "stopped, with requests that took too long cut off");
        }
    }
}

/// Waits for a slot and then for a connection.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, Slot) {
    let slot = Arc::clone(slots).acquire_owned().await;
    let slot = slot.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves one connection, whose requests have a limited time each, and which ends after a while by itself.
async fn connection(stream: TcpStream, app: Router, mut drain: watch::Receiver<()>) {
    // Answers are small, and the sender waits for them.
    let _ = stream.set_nodelay(true);
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(move |request| Box::pin(app.clone().oneshot(request))),
        );
    let ended = tokio::select! {
        ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => Some(ended),
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
        while time::timeout(LULL, stream.read(&mut scrap)).await?? > 0 {}
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

type Slot = OwnedSemaphorePermit;

/// Half of the 1024 files that a process may commonly open; the others are for what is being kept.
const MAX_CONNECTIONS: usize = 512;

/// For a head, and for the time between two requests.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_HEADERS: usize = 64;

/// Lets nobody keep a connection by sending requests without reading the answers.
const MAX_AGE: Duration = Duration::from_secs(300);

/// Longer than the layer and the handlers let a delivery take.
const LAST_REQUEST: Duration = Duration::from_secs(60);

/// How long the rest of a refused body is thrown away at most, and how long it may keep us waiting.
const LINGER: Duration = Duration::from_secs(2);
const LULL: Duration = Duration::from_millis(500);

const DRAIN: Duration = Duration::from_secs(10);
