//! An endpoint that records its requests.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use axum::{
    Router,
    body::Bytes,
    extract::DefaultBodyLimit,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use tokio::net::TcpListener;
use tower_pyannote::{WebhookEvent, event::Delivery};
use tower_pyannote_forward::{Forward, ForwardBuilder};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) peer: SocketAddr,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(values.next(), None, "{name} came twice");
        value.to_str().unwrap()
    }
}

pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Received>>>,
}

impl Endpoint {
    /// Starts an endpoint on all loopback addresses. `answer` gets the number of the request, from 0.
    pub(crate) async fn start<A, F, R>(answer: A) -> Self
    where
        A: Fn(usize) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = R> + Send,
        R: IntoResponse,
    {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let recorded = Arc::clone(&requests);
        let app = Router::new().fallback(
            move |peer: axum::extract::ConnectInfo<SocketAddr>,
                  uri: axum::http::Uri,
                  headers: HeaderMap,
                  body: Bytes| {
                let (answer, recorded) = (answer.clone(), Arc::clone(&recorded));
                async move {
                    let number = {
                        let mut recorded = recorded.lock().unwrap();
                        recorded.push(Received {
                            path: uri.path_and_query().unwrap().to_string(),
                            peer: peer.0,
                            headers,
                            body,
                        });
                        recorded.len() - 1
                    };
                    answer(number).await.into_response()
                }
            },
        );
        let app = app.layer(DefaultBodyLimit::disable());
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let app = app.into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, app).await.unwrap();
        });
        Self {
            address: ([127, 0, 0, 1], port).into(),
            requests,
        }
    }

    /// Starts an endpoint that answers 204.
    pub(crate) async fn accepting() -> Self {
        Self::start(|_| async { StatusCode::NO_CONTENT }).await
    }

    /// Starts an endpoint that gives each request the next status, and the last one to all that follow.
    pub(crate) async fn answering(statuses: &'static [u16]) -> Self {
        Self::start(move |number| async move { status(statuses[number.min(statuses.len() - 1)]) })
            .await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// Returns a builder for this endpoint.
    pub(crate) fn forward(&self) -> ForwardBuilder {
        Forward::to(self.url()).with_allow_private(true)
    }

    pub(crate) fn requests(&self) -> Vec<Received> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

pub(crate) fn status(code: u16) -> Response {
    StatusCode::from_u16(code).unwrap().into_response()
}

pub(crate) fn event(body: impl Into<Bytes>) -> WebhookEvent {
    WebhookEvent::new(body.into(), Delivery::at(SystemTime::now())).unwrap()
}

/// A small event.
pub(crate) fn failed() -> WebhookEvent {
    event(r#"{"jobId":"job-1","status":"failed"}"#)
}
