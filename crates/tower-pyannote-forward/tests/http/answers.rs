//! What an answer means for the event.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::http::{StatusCode, header};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tower_pyannote::HandlerError;
use tower_pyannote_forward::Forward;

use crate::endpoint::{Endpoint, failed, status};

fn in_full(error: &HandlerError) -> String {
    let mut text = error.to_string();
    let mut source = error.as_error().source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[tokio::test]
async fn status_decides_whether_the_event_is_done_retried_or_given_up() {
    enum End {
        Done,
        Retried,
        GivenUp,
    }
    let cases = [
        (200, End::Done),
        (202, End::Done),
        (299, End::Done),
        (300, End::Retried),
        (302, End::Retried),
        (308, End::Retried),
        (400, End::Retried),
        (404, End::Retried),
        (410, End::GivenUp),
        (422, End::GivenUp),
        (429, End::Retried),
        (500, End::Retried),
        (501, End::GivenUp),
    ];
    for (code, end) in cases {
        let endpoint = Endpoint::start(move |_| async move { status(code) }).await;
        let forward = endpoint
            .forward()
            .add_permanent_status(422)
            .unwrap()
            .add_permanent_status(501)
            .unwrap()
            .build()
            .unwrap();
        let sent = forward.send(&failed()).await;
        let permanent = sent.as_ref().err().map(HandlerError::is_permanent);
        let expected = match end {
            End::Done => None,
            End::Retried => Some(false),
            End::GivenUp => Some(true),
        };
        assert_eq!(permanent, expected, "{code}");
        assert_eq!(endpoint.count(), 1, "{code}");
        if let Err(error) = sent {
            let text = error.to_string();
            assert!(text.contains(&format!(" answered {code}")), "{text}");
            assert_eq!(error.retry_delay(), None, "{code}");
        }
    }
}

#[tokio::test]
async fn redirect_is_an_error_that_names_what_to_do_and_is_not_followed() {
    let target = Endpoint::accepting().await;
    let location = target.url();
    let endpoint = Endpoint::start(move |_| {
        let location = location.clone();
        async move {
            (
                StatusCode::PERMANENT_REDIRECT,
                [(header::LOCATION, location)],
            )
        }
    })
    .await;
    let error = endpoint
        .forward()
        .build()
        .unwrap()
        .send(&failed())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "http://{} answered 308 Permanent Redirect, and redirects are not followed: set the URL to which it redirects",
            endpoint.address
        )
    );
    assert_eq!(target.count(), 0);
}

#[tokio::test]
async fn retry_after_is_the_delay_of_the_retry() {
    let endpoint = Endpoint::start(|_| async {
        (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "90")])
    })
    .await;
    let error = endpoint
        .forward()
        .build()
        .unwrap()
        .send(&failed())
        .await
        .unwrap_err();
    assert_eq!(error.retry_delay(), Some(Duration::from_secs(90)));
    assert!(!error.is_permanent());
}

#[tokio::test]
async fn endpoint_that_does_not_answer_times_out() {
    let endpoint = Endpoint::start(|_| std::future::pending::<StatusCode>()).await;
    let timeout = Duration::from_millis(100);
    let forward = endpoint
        .forward()
        .with_timeout(timeout)
        .unwrap()
        .build()
        .unwrap();
    let error = forward.send(&failed()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("http://{} did not answer within 100ms", endpoint.address)
    );
    assert!(!error.is_permanent());
}

#[tokio::test]
async fn answer_with_an_endless_body_counts_by_its_status() {
    let endpoint = Endpoint::start(|_| async {
        let chunks = std::iter::repeat_with(|| Ok::<_, std::io::Error>(vec![0_u8; 16 << 10]));
        axum::body::Body::from_stream(futures_util::stream::iter(chunks))
    })
    .await;
    endpoint
        .forward()
        .build()
        .unwrap()
        .send(&failed())
        .await
        .unwrap();
}

#[tokio::test]
async fn answer_whose_body_never_ends_counts_by_its_status() {
    let endpoint = Endpoint::start(|_| async {
        let nothing = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
        axum::body::Body::from_stream(nothing)
    })
    .await;
    // Less than the time for which a body is read.
    let forward = endpoint.forward().with_timeout(Duration::from_millis(500));
    let forward = forward.unwrap().build().unwrap();
    forward.send(&failed()).await.unwrap();
    assert_eq!(endpoint.count(), 1);
}

#[tokio::test]
async fn endpoint_that_is_not_there_is_an_error_with_its_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let forward = Forward::to(format!("http://{address}/secret-path")).with_allow_private(true);
    let error = forward.build().unwrap().send(&failed()).await.unwrap_err();
    let text = in_full(&error);
    assert!(
        text.starts_with(&format!("http://{address} cannot be reached: ")),
        "{text}"
    );
    assert!(text.to_lowercase().contains("connection refused"), "{text}");
    assert!(!text.contains("secret-path"), "{text}");
}

#[tokio::test]
async fn circuit_opens_after_failures_and_closes_after_successes() {
    let endpoint = Endpoint::answering(&[500, 500, 500, 500, 204]).await;
    let forward = endpoint
        .forward()
        .with_circuit_breaker(3, Duration::from_millis(50))
        .unwrap()
        .build()
        .unwrap();
    // One more than three, because the breaker judges once it has seen three before.
    for _ in 0..4 {
        let error = forward.send(&failed()).await.unwrap_err().to_string();
        assert!(
            error.ends_with("answered 500 Internal Server Error"),
            "{error}"
        );
    }
    let error = forward.send(&failed()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "http://{} failed too often, and gets no event until its circuit breaker closes",
            endpoint.address
        )
    );
    assert!(!error.is_permanent());
    assert_eq!(error.retry_delay(), None);
    assert_eq!(endpoint.count(), 4);

    // Bounded: the breaker lets requests through after 50 ms.
    tokio::time::timeout(Duration::from_secs(30), async {
        while forward.send(&failed()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    forward.send(&failed()).await.unwrap();
    assert_eq!(endpoint.count(), 6);
}

#[tokio::test]
async fn answers_that_show_that_the_endpoint_lives_do_not_open_the_circuit() {
    let endpoint = Endpoint::answering(&[404, 410, 429, 301]).await;
    let breaker = Duration::from_secs(3600);
    let forward = endpoint.forward().with_circuit_breaker(1, breaker).unwrap();
    let forward = forward.build().unwrap();
    for _ in 0..8 {
        forward.send(&failed()).await.unwrap_err();
    }
    assert_eq!(endpoint.count(), 8);
}

#[tokio::test]
async fn requests_over_the_limit_wait_for_a_slot() {
    let release = Arc::new(Semaphore::new(0));
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, peak, released) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&release));
    let endpoint = Endpoint::start(move |_| {
        let (now, most, release) = (counted.clone(), peak.clone(), released.clone());
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            release.acquire().await.unwrap().forget();
            now.fetch_sub(1, Ordering::SeqCst);
            StatusCode::NO_CONTENT
        }
    })
    .await;
    let forward = endpoint
        .forward()
        .with_in_flight(2)
        .unwrap()
        .build()
        .unwrap();
    let mut sends = JoinSet::new();
    for _ in 0..6 {
        let forward = forward.clone();
        sends.spawn(async move { forward.send(&failed()).await });
    }
    while now.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    release.add_permits(6);
    for sent in sends.join_all().await {
        sent.unwrap();
    }
    assert_eq!(endpoint.count(), 6);
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

/// The clock advances when nothing else is left to do, so all deadlines are equal.
#[tokio::test(start_paused = true)]
async fn event_without_a_slot_until_its_timeout_is_not_sent() {
    let endpoint = Endpoint::start(|_| std::future::pending::<StatusCode>()).await;
    let forward = endpoint
        .forward()
        .with_in_flight(1)
        .unwrap()
        .build()
        .unwrap();
    let mut sends = JoinSet::new();
    for _ in 0..3 {
        let forward = forward.clone();
        sends.spawn(async move { forward.send(&failed()).await.unwrap_err().to_string() });
    }
    let mut errors = sends.join_all().await;
    errors.sort();
    let address = endpoint.address;
    let busy = format!(
        "http://{address} got no event within 7s, because all requests that it may have in flight wait for an answer: \
         raise in_flight, or make the endpoint faster"
    );
    assert_eq!(
        errors,
        [
            format!("http://{address} did not answer within 7s"),
            busy.clone(),
            busy
        ]
    );
    assert!(endpoint.count() <= 1);
}
