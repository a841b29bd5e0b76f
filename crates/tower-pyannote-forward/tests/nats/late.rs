//! A process is suspended during an upload, and killed after another process has stored the same body.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, sink},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tower_pyannote::{WebhookEvent, event::Delivery};
use tower_pyannote_forward::{Relay, event_key};

use crate::server::{BUCKET, STREAM, Server};

#[tokio::test(flavor = "multi_thread")]
async fn late_upload_leaves_the_object_of_another_process_whole() {
    let Some(server) = Server::start("max_payload: 16384") else {
        return;
    };
    let (event, other) = (event("job"), event("other"));
    let relay = Relay::nats(server.url(), STREAM).with_create_if_absent(true);
    let relay = relay.connect().await.unwrap();
    relay.publish(&other).await.unwrap();

    let proxy = Proxy::start(server.url().strip_prefix("nats://").unwrap().to_owned()).await;
    let late = Relay::nats(&proxy.url, STREAM).with_timeout(Duration::from_secs(1));
    let late = late.build().unwrap();
    let late = tokio::spawn({
        let event = event.clone();
        async move { late.publish(&event).await }
    });
    proxy.held.acquire().await.unwrap().forget();
    relay.publish(&event).await.unwrap();
    proxy.freed.add_permits(1);

    // The server has answered, and no chunk followed.
    late.await.unwrap().unwrap_err();
    let objects = server.context().await.get_object_store(BUCKET).await;
    let mut object = objects.unwrap().get(event_key(&event)).await.unwrap();
    let mut stored = String::new();
    // A consumer waits for chunks that are missing.
    let read = timeout(Duration::from_secs(10), object.read_to_string(&mut stored)).await;
    read.expect("the object is whole").unwrap();
    assert_eq!(stored.as_bytes(), event.raw());
}

fn event(job: &str) -> WebhookEvent {
    let text = "x".repeat(100_000);
    let body = format!(r#"{{"jobId":"{job}","status":"succeeded","text":"{text}"}}"#);
    WebhookEvent::new(body.into(), Delivery::at(SystemTime::now())).unwrap()
}

/// Passes a connection on to the server. Holds the first request to purge a stream, and passes on no request after it.
struct Proxy {
    url: String,
    /// Has a permit once the request is held.
    held: Arc<Semaphore>,
    /// A permit lets the request go on.
    freed: Arc<Semaphore>,
}

impl Proxy {
    async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        let (held, freed) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (holds, waits) = (Arc::clone(&held), Arc::clone(&freed));
        tokio::spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(server).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
            let mut buffer = vec![0; 64 << 10];
            loop {
                let read = from_client.read(&mut buffer).await.unwrap();
                let read = &buffer[..read];
                let is_last = read.windows(12).any(|part| part == b"STREAM.PURGE");
                if is_last {
                    holds.add_permits(1);
                    waits.acquire().await.unwrap().forget();
                }
                to_server.write_all(read).await.unwrap();
                if is_last {
                    // Keeps the connection.
                    return copy(&mut from_client, &mut sink()).await;
                }
            }
        });
        Self { url, held, freed }
    }
}
