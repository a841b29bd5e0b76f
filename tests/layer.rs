//! The layer with any body and any service: which requests pass, and how each refusal is answered.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt};
use tower_pyannote::{
    PyannoteSignatureLayer, SecretSet, WebhookEvent, WebhookSecret,
    clock::{Clock, ManualClock},
    event::{Delivery, EventError},
    layer::{ByteBudget, Rejection, VerifiedBody, VerifySignature},
    verify::VerifyError,
};

use tower_pyannote_test_support::delivery::{
    Channel, EVENT, Script, Step, clock, event_of, now, request, secret, sign,
};

type Answer = Response<Full<Bytes>>;

/// Answers with the body of the request, and counts its calls.
#[derive(Clone, Default)]
struct Echo {
    calls: Arc<AtomicUsize>,
}

impl Echo {
    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

impl Service<Request<VerifiedBody>> for Echo {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<VerifiedBody>) -> Self::Future {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let event = parts.extensions.get::<WebhookEvent>().unwrap();
            assert_eq!(event.raw(), &body);
            Ok(Response::new(Full::new(body)))
        })
    }
}

fn layer() -> PyannoteSignatureLayer<ManualClock> {
    PyannoteSignatureLayer::new(secret()).with_clock(clock())
}

/// Returns a layer with this body limit and byte budget, and the budget.
fn layer_within(limit: usize, budget: usize) -> (PyannoteSignatureLayer<ManualClock>, ByteBudget) {
    let budget = ByteBudget::new(budget).unwrap();
    let layer = layer().with_body_limit(limit).unwrap();
    (layer.with_byte_budget(budget.clone()).unwrap(), budget)
}

fn rejection<B>(response: &Response<B>) -> Option<Rejection> {
    response.extensions().get().copied()
}

async fn ready<S: Service<Request<Script>>>(service: &mut S) -> &mut S
where
    S::Error: std::fmt::Debug,
{
    service.ready().await.unwrap()
}

async fn bytes(response: Answer) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

/// Polls once, with a waker that does nothing.
fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn signed_delivery_passes_with_its_event_and_unchanged_parts() {
    #[derive(Clone, Debug, PartialEq)]
    struct Mine(u8);

    let service = tower::service_fn(|request: Request<VerifiedBody>| async move {
        assert_eq!(request.uri(), "/hooks/7?team=a");
        assert_eq!(request.version(), Version::HTTP_2);
        assert_eq!(request.headers()["x-mine"], "yes");
        assert_eq!(request.headers()["x-signature"], sign(EVENT));
        assert_eq!(request.extensions().get(), Some(&Mine(7)));
        let event: WebhookEvent = request.extensions().get().cloned().unwrap();
        assert_eq!(event.job_id(), "job-1");
        assert_eq!(event.timestamp(), 1_767_225_600);
        assert_eq!(event.received_at(), now());
        assert_eq!(event.retry().map(|retry| retry.number), Some(2));
        assert_eq!(
            request.into_body().collect().await.unwrap().to_bytes(),
            EVENT
        );
        Ok::<_, Infallible>(Response::builder().status(202).body(String::new()).unwrap())
    });
    let mut request = request(EVENT, Full::<Bytes>::from(EVENT));
    *request.uri_mut() = "/hooks/7?team=a".parse().unwrap();
    *request.version_mut() = Version::HTTP_2;
    request
        .headers_mut()
        .insert("x-mine", "yes".parse().unwrap());
    request
        .headers_mut()
        .insert("x-retry-num", "2".parse().unwrap());
    request.extensions_mut().insert(Mine(7));

    let response = layer().layer(service).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(rejection(&response), None);
}

#[tokio::test]
async fn requests_invalid_by_their_headers_are_refused_before_the_body_is_read() {
    let good = || request(EVENT, Script::unread());
    let with = |name: &'static str, value: &str| {
        let mut request = good();
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    let twice = |name: &'static str| {
        let mut request = good();
        let value = request.headers()[name].clone();
        request.headers_mut().append(name, value);
        request
    };
    let without = |name: &str| {
        let mut request = good();
        request.headers_mut().remove(name);
        request
    };
    let method = |method: Method| {
        let mut request = good();
        *request.method_mut() = method;
        request
    };
    let sized = |length: u64| request(EVENT, Script::unread().announcing(length));
    let limit = 128 << 20;

    use Rejection::{BodyTooLarge, MethodNotAllowed, Unverified};
    use VerifyError::*;
    let table = [
        ("GET", method(Method::GET), 405, MethodNotAllowed),
        ("PUT", method(Method::PUT), 405, MethodNotAllowed),
        ("OPTIONS", method(Method::OPTIONS), 405, MethodNotAllowed),
        (
            "no timestamp",
            without("x-request-timestamp"),
            401,
            Unverified(MissingTimestamp),
        ),
        (
            "no signature",
            without("x-signature"),
            401,
            Unverified(MissingSignature),
        ),
        (
            "two timestamps",
            twice("x-request-timestamp"),
            400,
            Unverified(DuplicateTimestamp),
        ),
        (
            "two signatures",
            twice("x-signature"),
            400,
            Unverified(DuplicateSignature),
        ),
        (
            "a timestamp of words",
            with("x-request-timestamp", "now"),
            400,
            Unverified(MalformedTimestamp),
        ),
        (
            "a signature of words",
            with("x-signature", "trust me"),
            400,
            Unverified(MalformedSignature),
        ),
        (
            "too old",
            with("x-request-timestamp", "1767224999"),
            401,
            Unverified(StaleTimestamp),
        ),
        (
            "too new",
            with("x-request-timestamp", "1767226201"),
            401,
            Unverified(FutureTimestamp),
        ),
        ("a body over the limit", sized(limit + 1), 413, BodyTooLarge),
        ("a body of 2^64 bytes", sized(u64::MAX), 413, BodyTooLarge),
        (
            "a header over the limit",
            with("content-length", "134217729"),
            413,
            BodyTooLarge,
        ),
    ];
    for (name, request, status, expected) in table {
        let echo = Echo::default();
        let response = layer().layer(echo.clone()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{name}");
        assert_eq!(rejection(&response), Some(expected), "{name}");
        let allow = response
            .headers()
            .get("allow")
            .map(|allow| allow.as_bytes().to_vec());
        assert_eq!(allow, (status == 405).then(|| b"POST".to_vec()), "{name}");
        assert!(bytes(response).await.is_empty(), "{name}");
        assert_eq!(echo.calls(), 0, "{name}");
    }
}

#[tokio::test]
async fn invalid_bodies_are_refused_and_the_inner_service_is_not_called() {
    let not_json = b"jobId=1";
    let no_job = br#"{"status":"succeeded"}"#;
    let table = [
        (
            "forged",
            request(EVENT, Script::frames([&b"{}"[..]])),
            401,
            Rejection::Unverified(VerifyError::SignatureMismatch),
        ),
        (
            "no body",
            request(EVENT, Script::frames([])),
            401,
            Rejection::Unverified(VerifyError::SignatureMismatch),
        ),
        (
            "cut short",
            request(EVENT, Script::frames([&EVENT[..9]])),
            401,
            Rejection::Unverified(VerifyError::SignatureMismatch),
        ),
        (
            "connection failed",
            request(EVENT, Script::new([Step::Data(EVENT.into()), Step::Fail])),
            400,
            Rejection::BodyBroken,
        ),
        (
            "signed, but not JSON",
            request(not_json, Script::frames([&not_json[..]])),
            400,
            Rejection::Malformed(EventError::Syntax),
        ),
        (
            "signed, but without a job",
            request(no_job, Script::frames([&no_job[..]])),
            400,
            Rejection::Malformed(EventError::MissingJobId),
        ),
        (
            "signed, but empty",
            request(b"", Script::frames([])),
            400,
            Rejection::Malformed(EventError::Syntax),
        ),
    ];
    for (name, request, status, expected) in table {
        let echo = Echo::default();
        let response = layer().layer(echo.clone()).oneshot(request).await.unwrap();
        assert_eq!(rejection(&response), Some(expected), "{name}");
        assert_eq!(response.status(), status, "{name}");
        assert!(bytes(response).await.is_empty(), "{name}");
        assert_eq!(echo.calls(), 0, "{name}");
    }
}

#[tokio::test]
async fn empty_frames_and_trailers_do_not_change_the_body() {
    let (one, two) = EVENT.split_at(10);
    let steps = [
        Step::Data(Bytes::new()),
        Step::Data(one.into()),
        Step::Pending,
        Step::Data(Bytes::new()),
        Step::Data(two.into()),
        Step::Trailers,
    ];
    let service = layer().layer(Echo::default());
    let response = service
        .oneshot(request(EVENT, Script::new(steps)))
        .await
        .unwrap();
    assert_eq!(bytes(response).await, EVENT);
}

#[tokio::test]
async fn body_of_exactly_the_limit_passes_and_one_byte_more_is_refused() {
    let layer = || layer().with_body_limit(1000).unwrap();
    for announced in [true, false] {
        for (length, expected) in [
            (999, None),
            (1000, None),
            (1001, Some(Rejection::BodyTooLarge)),
        ] {
            let body = event_of(length);
            let mut frames = Script::frames(body.chunks(100));
            if announced {
                frames = frames.announcing(length.try_into().unwrap());
            }
            let service = layer().layer(Echo::default());
            let response = service.oneshot(request(&body, frames)).await.unwrap();
            assert_eq!(
                rejection(&response),
                expected,
                "{length}, announced: {announced}"
            );
        }
    }
}

#[tokio::test]
async fn body_longer_than_its_header_says_passes_up_to_the_limit() {
    let body = event_of(2000);
    for (limit, expected) in [(2000, None), (1999, Some(Rejection::BodyTooLarge))] {
        let mut request = request(&body, Script::frames(body.chunks(300)));
        request
            .headers_mut()
            .insert("content-length", "10".parse().unwrap());
        let layer = layer().with_body_limit(limit).unwrap();
        let response = layer.layer(Echo::default()).oneshot(request).await.unwrap();
        assert_eq!(rejection(&response), expected);
    }
}

#[tokio::test]
async fn large_body_in_frames_passes_under_any_secret_of_the_set() {
    let secrets = SecretSet::new(WebhookSecret::new("whs_new").unwrap())
        .add_secret(WebhookSecret::new("whs_newer").unwrap())
        .add_secret(secret());
    let layer = PyannoteSignatureLayer::new(secrets).with_clock(clock());
    let body = event_of(5 << 20);
    let frames = Script::frames(body.chunks(300_000));
    let response = layer
        .layer(Echo::default())
        .oneshot(request(&body, frames))
        .await
        .unwrap();
    assert_eq!(bytes(response).await, body);
}

#[test]
fn large_body_is_hashed_and_parsed_in_slices_that_let_other_tasks_run() {
    let body = event_of(16 << 20);
    let service = layer()
        .with_body_limit(16 << 20)
        .unwrap()
        .layer(Echo::default());
    let mut response = pin!(service.oneshot(request(&body, Script::frames([&body[..]]))));
    let mut polls = 1;
    while poll(response.as_mut()).is_pending() {
        polls += 1;
    }
    assert_eq!(
        polls,
        8 + 64,
        "16 MiB hashed in slices of 2 MiB, then parsed in slices of 256 KiB"
    );
}

#[test]
fn body_is_not_parsed_before_its_signature_matched() {
    let garbage = vec![b'{'; 4 << 20];
    let mismatch = Rejection::Unverified(VerifyError::SignatureMismatch);
    let malformed = Rejection::Malformed(EventError::Syntax);
    let table = [
        ("wrongly signed: hashed only", EVENT, 1, mismatch),
        ("signed: then parsed in 16 slices", &*garbage, 16, malformed),
    ];
    for (name, signed, polls_after_the_last_frame, expected) in table {
        // Each frame is pending once. A parser that ran meanwhile would leave fewer slices for after the last frame.
        let steps = garbage.chunks(1 << 20).map(Bytes::copy_from_slice);
        let steps = steps.flat_map(|frame| [Step::Pending, Step::Data(frame)]);
        let script = Script::new(steps.collect::<Vec<_>>());
        let service = layer().layer(Echo::default());
        let mut response = pin!(service.oneshot(request(signed, script)));
        let mut polls = 0;
        let response = loop {
            polls += 1;
            if let Poll::Ready(response) = poll(response.as_mut()) {
                break response.unwrap();
            }
        };
        assert_eq!(rejection(&response), Some(expected), "{name}");
        assert_eq!(polls, 4 + polls_after_the_last_frame, "{name}");
    }
}

#[test]
fn body_of_several_slices_is_judged_like_the_whole() {
    // Two bytes a character: of the odd and the even offset, one has a character across each end of a slice.
    let text = "é".repeat(400 << 10);
    let bodies = [
        format!(r#"{{"jobId":"a","text":"{text}"}}"#),
        format!(r#"{{"jobId":"ab","text":"{text}"}}"#),
        format!(r#"{{"jobId":"a","text":"{text}""#),
        format!(r#"{{"jobId":"a","text":"{text}"}}}}"#),
        format!(r#"{{"status":"succeeded","text":"{text}"}}"#),
    ];
    let mut bodies: Vec<Vec<u8>> = bodies.map(Vec::from).into();
    let mut not_utf8 = bodies[0].clone();
    not_utf8[700 << 10] = 0xff;
    bodies.push(not_utf8);

    let mut outcomes = Vec::new();
    for body in bodies {
        let service = layer().layer(Echo::default());
        let mut response = pin!(service.oneshot(request(&body, Script::frames([&body[..]]))));
        let response = loop {
            if let Poll::Ready(response) = poll(response.as_mut()) {
                break response.unwrap();
            }
        };
        let whole = WebhookEvent::new(body.into(), Delivery::at(now()));
        let whole = whole.err().map(Rejection::Malformed);
        assert_eq!(rejection(&response), whole);
        outcomes.push(whole);
    }
    use EventError::{MissingJobId, NotUtf8, Syntax};
    let expected = [
        None,
        None,
        Some(Syntax),
        Some(Syntax),
        Some(MissingJobId),
        Some(NotUtf8),
    ];
    assert_eq!(
        outcomes,
        expected.map(|error| error.map(Rejection::Malformed))
    );
}

#[test]
fn service_gives_access_to_the_inner_service() {
    let mut service = VerifySignature::layer(secret()).layer(Echo::default());
    service.get_mut().calls.fetch_add(1, Ordering::Relaxed);
    assert_eq!(service.get_ref().calls(), 1);
    assert_eq!(service.into_inner().calls(), 1);
}

#[test]
fn endless_empty_frames_let_other_tasks_run_and_time_out() {
    struct Endless;

    impl http_body::Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::new()))))
        }
    }

    let clock = clock();
    let service = layer().with_clock(clock.clone()).layer(Echo::default());
    let mut response = pin!(service.oneshot(request(EVENT, Endless)));
    assert!(poll(response.as_mut()).is_pending());
    clock.advance(Duration::from_secs(29));
    assert!(poll(response.as_mut()).is_pending());
    clock.advance(Duration::from_secs(1));
    let Poll::Ready(response) = poll(response.as_mut()) else {
        panic!("the read timeout is over");
    };
    assert_eq!(rejection(&response.unwrap()), Some(Rejection::BodyTimeout));
}

#[test]
fn large_body_is_parsed_without_a_runtime() {
    let body = event_of(3 << 20);
    let service = layer().layer(Echo::default());
    let mut response = pin!(service.oneshot(request(&body, Script::frames([&body[..]]))));
    let response = loop {
        if let Poll::Ready(response) = poll(response.as_mut()) {
            break response.unwrap();
        }
    };
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn service_and_body_need_not_be_send() {
    struct Local {
        data: Full<Bytes>,
        _not_send: Rc<()>,
    }

    impl http_body::Body for Local {
        type Data = Bytes;
        type Error = Rc<str>;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Rc<str>>>> {
            let frame = Pin::new(&mut self.data).poll_frame(cx);
            frame.map_err(|never| match never {})
        }
    }

    let seen = Rc::new(AtomicUsize::new(0));
    let counter = Rc::clone(&seen);
    let service = tower::service_fn(move |_: Request<VerifiedBody>| {
        let counter = Rc::clone(&counter);
        async move {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Rc<str>>(Response::new(String::new()))
        }
    });
    let body = Local {
        data: Full::from(EVENT),
        _not_send: Rc::new(()),
    };
    let response = layer()
        .layer(service)
        .oneshot(request(EVENT, body))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(seen.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn the_ready_service_is_the_one_called() {
    /// Panics if it is called without having been ready.
    struct Strict {
        ready: bool,
    }

    impl Clone for Strict {
        fn clone(&self) -> Self {
            Self { ready: false }
        }
    }

    impl Service<Request<VerifiedBody>> for Strict {
        type Response = Response<String>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Response<String>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            self.ready = true;
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<VerifiedBody>) -> Self::Future {
            assert!(
                std::mem::take(&mut self.ready),
                "called without having been ready"
            );
            std::future::ready(Ok(Response::new(String::new())))
        }
    }

    let mut service = layer().layer(Strict { ready: false });
    for _ in 0..2 {
        let steps = [Step::Pending, Step::Data(EVENT.into())];
        let request = request(EVENT, Script::new(steps));
        let response = ready(&mut service).await.call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn refused_request_releases_the_permit_of_a_concurrency_limit() {
    let mut service = layer().layer(ConcurrencyLimit::new(Echo::default(), 1));
    let mut other = service.clone();

    let forged = ready(&mut service)
        .await
        .call(request(b"{}", Script::frames([EVENT])));
    let mut waiting = pin!(poll_fn(|cx| {
        Service::<Request<Script>>::poll_ready(&mut other, cx)
    }));
    assert!(
        poll(waiting.as_mut()).is_pending(),
        "the permit is held while the body is received"
    );

    assert_eq!(forged.await.unwrap().status(), StatusCode::UNAUTHORIZED);
    waiting.await.unwrap();

    // A request refused by its headers releases it too, though its service is kept.
    let mut third = service.clone();
    drop(other);
    let mut bad = request(EVENT, Script::unread());
    *bad.method_mut() = Method::GET;
    let refused = ready(&mut service).await.call(bad).await.unwrap();
    assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
    let request = request(EVENT, Script::frames([EVENT]));
    let response = ready(&mut third).await.call(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn readiness_and_errors_of_the_inner_service_pass_unchanged() {
    let (mut service, mut handle) =
        tower_test::mock::spawn_layer::<Request<VerifiedBody>, Response<String>, _>(layer());
    handle.allow(0);
    assert!(service.poll_ready::<Request<Script>>().is_pending());
    handle.allow(1);
    assert!(matches!(
        service.poll_ready::<Request<Script>>(),
        Poll::Ready(Ok(()))
    ));
    let call = service.call(request(EVENT, Script::frames([EVENT])));
    let answer = async {
        let (_, send) = handle.next_request().await.unwrap();
        send.send_error("the database is gone");
    };
    let (outcome, ()) = tokio::join!(call, answer);
    assert_eq!(outcome.unwrap_err().to_string(), "the database is gone");
}

#[tokio::test]
async fn body_received_byte_by_byte_is_judged_like_the_whole() {
    let bodies = [
        (
            r#"{"jobId":"é\u00e9😀","status":"succeeded","output":{"diarization":[1.5,2]}}"#,
            None,
        ),
        (
            r#"{"jobId":"a","status":"succeeded",}"#,
            Some(EventError::Syntax),
        ),
        (
            r#"{"jobId":"a","status":"succeeded""#,
            Some(EventError::Syntax),
        ),
        (r#"["jobId"]"#, Some(EventError::NotAnObject)),
    ];
    for (body, error) in bodies {
        let (sender, channel) = Channel::new();
        let service = layer().with_clock(clock()).layer(Echo::default());
        let mut response = pin!(service.oneshot(request(body.as_bytes(), channel)));
        for byte in body.as_bytes() {
            sender.send(Bytes::copy_from_slice(&[*byte])).unwrap();
            assert!(poll(response.as_mut()).is_pending());
        }
        drop(sender);
        let response = response.await.unwrap();
        assert_eq!(
            rejection(&response),
            error.map(Rejection::Malformed),
            "{body}"
        );
    }
}

#[tokio::test]
async fn stalled_body_times_out() {
    let clock = clock();
    let service = layer().with_clock(clock.clone()).layer(Echo::default());
    let (sender, body) = Channel::new();
    let mut response = pin!(service.oneshot(request(EVENT, body)));
    sender.send(Bytes::from_static(&EVENT[..10])).unwrap();
    assert!(poll(response.as_mut()).is_pending());

    clock.advance(Duration::from_secs(4));
    assert!(poll(response.as_mut()).is_pending());
    clock.advance(Duration::from_secs(1));
    let response = response.await.unwrap();
    assert_eq!(rejection(&response), Some(Rejection::BodyTimeout));
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(clock.sleepers(), 0);
}

#[tokio::test]
async fn body_under_the_least_rate_times_out_and_one_at_it_passes() {
    for (a_window, expected) in [
        (5 * 1024, None),
        (5 * 1024 - 1, Some(Rejection::BodyTimeout)),
    ] {
        let clock = clock();
        let layer = layer().with_clock(clock.clone()).with_least_rate(1024);
        let body = event_of(4 * a_window);
        let (sender, channel) = Channel::new();
        let mut response = pin!(
            layer
                .layer(Echo::default())
                .oneshot(request(&body, channel))
        );
        assert!(poll(response.as_mut()).is_pending());
        let mut outcome = None;
        for window in body.chunks(a_window) {
            let _ = sender.send(Bytes::copy_from_slice(window));
            assert!(poll(response.as_mut()).is_pending());
            clock.advance(Duration::from_secs(5));
            if let Poll::Ready(response) = poll(response.as_mut()) {
                outcome = Some(response.unwrap());
                break;
            }
        }
        drop(sender);
        let response = match outcome {
            Some(response) => response,
            None => response.await.unwrap(),
        };
        assert_eq!(rejection(&response), expected, "{a_window} bytes in 5 s");
    }
}

#[tokio::test]
async fn whole_body_times_out_whatever_its_rate() {
    let clock = clock();
    let layer = layer()
        .with_clock(clock.clone())
        .with_least_rate(0)
        .with_body_read_timeout(Duration::from_secs(12))
        .unwrap();
    let (sender, channel) = Channel::new();
    let mut response = pin!(
        layer
            .layer(Echo::default())
            .oneshot(request(EVENT, channel))
    );
    for second in 0..12 {
        sender.send(Bytes::from_static(b" ")).unwrap();
        assert!(poll(response.as_mut()).is_pending(), "after {second} s");
        clock.advance(Duration::from_secs(1));
    }
    let response = response.await.unwrap();
    assert_eq!(rejection(&response), Some(Rejection::BodyTimeout));
}

#[tokio::test]
async fn read_timeout_includes_waits_for_the_budget() {
    let clock = clock();
    let (others, budget) = layer_within(1 << 20, 1 << 20);
    let layer = others.clone().with_least_rate(0).with_clock(clock.clone());
    let body = event_of(640 << 10);
    let (sender, channel) = Channel::new();
    let mut slow = pin!(
        layer
            .layer(Echo::default())
            .oneshot(request(&body, channel))
    );
    assert!(poll(slow.as_mut()).is_pending());

    // Another body holds the budget for 4 s at a time, and releases it just before the slow one is refused.
    let other = || {
        let free = (1 << 20) - budget.drawn() + (64 << 10);
        let body = event_of(free.min(1 << 20));
        let (sender, channel) = Channel::new();
        sender.send(body.clone()).unwrap();
        let mut holds = Box::pin(
            others
                .layer(Echo::default())
                .oneshot(request(&body, channel)),
        );
        assert!(poll(holds.as_mut()).is_pending());
        (sender, holds)
    };
    let mut answered = None;
    for piece in body.chunks(64 << 10) {
        let held = other();
        let held_too = other();
        let _ = sender.send(Bytes::copy_from_slice(piece));
        let _ = poll(slow.as_mut());
        clock.advance(Duration::from_secs(4));
        drop((held, held_too));
        if let Poll::Ready(response) = poll(slow.as_mut()) {
            answered = Some(response.unwrap());
            break;
        }
    }
    let response = answered.expect("8 waits of 4 s take longer than 30 s");
    assert_eq!(rejection(&response), Some(Rejection::BodyTimeout));
    assert_eq!(clock.now(), now() + Duration::from_secs(32));
}

/// A request that has received its whole body but not its end, and that holds its share of the budget.
macro_rules! unfinished {
    ($service:expr, $body:expr) => {{
        let (sender, channel) = Channel::new();
        sender.send($body.clone()).unwrap();
        let mut response = Box::pin($service.clone().oneshot(request(&$body, channel)));
        assert!(poll(response.as_mut()).is_pending());
        (sender, response)
    }};
}

#[tokio::test]
async fn body_waits_for_the_budget_until_another_request_is_answered() {
    let (layer, budget) = layer_within(1 << 20, 1 << 20);
    let service = layer.layer(Echo::default());
    let body = event_of(800 << 10);

    let (first_sender, first) = unfinished!(service, body);
    assert_eq!(
        budget.drawn(),
        (800 - 64) << 10,
        "the bytes received, less the free ones"
    );
    let (second_sender, second) = unfinished!(service, body);
    drop((first_sender, second_sender));
    let (first, second) = tokio::join!(first, second);
    assert_eq!(bytes(first.unwrap()).await, body);
    assert_eq!(bytes(second.unwrap()).await, body);
    assert_eq!(budget.drawn(), 0);
}

#[test]
fn announced_lengths_reserve_at_most_a_quarter_of_the_budget() {
    let (layer, budget) = layer_within(1 << 20, 8 << 20);
    let service = layer.layer(Echo::default());
    let start = || {
        let (sender, channel) = Channel::new();
        let body = channel.announcing(1 << 20);
        let response = Box::pin(service.clone().oneshot(request(EVENT, body)));
        (sender, response)
    };
    let mut bodies = [start(), start(), start()];
    let mut bring = |piece: usize| {
        bodies.each_mut().map(|(sender, response)| {
            sender.send(vec![b' '; piece].into()).unwrap();
            assert!(poll(response.as_mut()).is_pending());
            budget.drawn()
        })
    };

    let free = 64 << 10;
    let announced = (1 << 20) - free;
    assert_eq!(bring(10 << 10), [0; 3], "the first frame reserves nothing");
    assert_eq!(bring(10 << 10), [announced, 2 * announced, 2 * announced]);
    let received_twice = 2 * (90 << 10) - free;
    assert_eq!(
        bring(70 << 10),
        [2 * announced, 2 * announced, 2 * announced + received_twice]
    );
    drop(bodies);
    assert_eq!(budget.drawn(), 0);
}

#[tokio::test]
async fn body_that_waits_too_long_for_the_budget_is_refused_with_retry_after() {
    let clock = clock();
    let (layer, budget) = layer_within(1 << 20, 1 << 20);
    let service = layer.with_clock(clock.clone()).layer(Echo::default());
    let body = event_of(800 << 10);

    let (_first_sender, mut first) = unfinished!(service, body);
    let (_second_sender, mut second) = unfinished!(service, body);
    clock.advance(Duration::from_millis(4_999));
    assert!(poll(second.as_mut()).is_pending());
    clock.advance(Duration::from_millis(1));
    let response = second.await.unwrap();
    assert_eq!(rejection(&response), Some(Rejection::Overloaded));
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "5");

    // A sender that disconnects releases its share.
    assert!(budget.drawn() > 0);
    assert!(
        poll(first.as_mut()).is_ready(),
        "it received nothing for 5 s"
    );
    drop(first);
    assert_eq!(budget.drawn(), 0);
}

#[tokio::test]
async fn small_bodies_pass_while_the_budget_is_used_up() {
    let (layer, _) = layer_within(1 << 20, 1 << 20);
    let service = layer.layer(Echo::default());
    let (_sender, _response) = unfinished!(service, event_of(1 << 20));
    for length in [100, 64 << 10] {
        let body = event_of(length);
        let request = request(&body, Script::frames([&body[..]]));
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(bytes(response).await, body, "{length}");
    }
}

#[tokio::test]
async fn budget_is_held_until_the_answer() {
    let (layer, budget) = layer_within(1 << 20, 1 << 20);
    let (answer, answered) = tokio::sync::oneshot::channel::<()>();
    let answered = Arc::new(std::sync::Mutex::new(Some(answered)));
    let service = tower::service_fn(move |_: Request<VerifiedBody>| {
        let answered = answered.lock().unwrap().take().unwrap();
        async move {
            answered.await.unwrap();
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    });
    let body = event_of(1 << 20);
    let request = request(&body, Script::frames([&body[..]]));
    let mut response = pin!(layer.layer(service).oneshot(request));
    assert!(poll(response.as_mut()).is_pending());
    assert_eq!(budget.drawn(), (1024 - 64) << 10);
    answer.send(()).unwrap();
    response.await.unwrap();
    assert_eq!(budget.drawn(), 0);
}

#[tokio::test]
async fn forged_flood_holds_at_most_the_budget() {
    let (layer, budget) = layer_within(2 << 20, 4 << 20);
    let service = layer.layer(Echo::default());
    let frame = Bytes::from(vec![b'x'; 256 << 10]);
    let mut flood: Vec<_> = (0..50)
        .map(|_| {
            let (sender, channel) = Channel::new();
            (0..8).for_each(|_| sender.send(frame.clone()).unwrap());
            (
                sender,
                Box::pin(service.clone().oneshot(request(EVENT, channel))),
            )
        })
        .collect();
    for (_, response) in &mut flood {
        assert!(poll(response.as_mut()).is_pending());
        assert!(budget.drawn() <= 4 << 20);
    }
    drop(flood);
    assert_eq!(budget.drawn(), 0);
}

#[tokio::test]
async fn custom_rejection_response_has_the_reason_in_its_extensions() {
    let layer = layer().with_rejection_response(|rejection: Rejection| {
        Response::builder()
            .status(StatusCode::IM_A_TEAPOT)
            .body(Full::from(rejection.as_str()))
            .unwrap()
    });
    let response = layer
        .layer(Echo::default())
        .oneshot(request(EVENT, Script::frames([&b"{}"[..]])))
        .await
        .unwrap();
    let expected = Rejection::Unverified(VerifyError::SignatureMismatch);
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(rejection(&response), Some(expected));
    assert_eq!(bytes(response).await, "signature_mismatch");
}

#[test]
fn settings_that_cannot_work_are_refused_by_their_setters() {
    let table = [
        (
            layer().with_body_limit(0).unwrap_err(),
            "body limit is 0: a real meeting takes megabytes",
        ),
        (
            layer().with_body_limit(257 << 20).unwrap_err(),
            "body limit of 269484032 bytes is over the byte budget of 268435456: raise the byte budget first",
        ),
        (
            layer()
                .with_byte_budget(ByteBudget::new(1 << 20).unwrap())
                .unwrap_err(),
            "body limit of 134217728 bytes is over the byte budget of 1048576: raise the byte budget first",
        ),
        (
            layer().with_body_read_timeout(Duration::ZERO).unwrap_err(),
            "body_read_timeout is zero: give a time above zero",
        ),
        (
            ByteBudget::new(0).unwrap_err(),
            "byte budget is 0: give at least 1 and less than 4 GiB",
        ),
        (
            ByteBudget::new(1 << 32).unwrap_err(),
            "byte budget is 4294967296: give at least 1 and less than 4 GiB",
        ),
    ];
    for (error, expected) in table {
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn debug_of_layer_and_service_shows_no_secret() {
    let printed = [
        format!("{:?}", layer()),
        format!("{:?}", layer().layer("inner")),
    ];
    for text in printed {
        assert!(!text.contains("0011"), "{text}");
    }
}

#[test]
fn layer_service_and_future_are_send_if_their_parts_are() {
    fn send<T: Send>(_: &T) {}
    fn shared<T: Send + Sync + Clone + 'static>(_: &T) {}
    shared(&layer());
    let mut service = layer().layer(Echo::default());
    shared(&service);
    send(&Service::call(
        &mut service,
        request(EVENT, Script::frames([EVENT])),
    ));
}

#[test]
fn clock_of_the_layer_decides_what_is_fresh() {
    let clock = clock();
    let service = layer().with_clock(clock.clone()).layer(Echo::default());
    let answer = || {
        let mut response = pin!(
            service
                .clone()
                .oneshot(request(EVENT, Script::frames([EVENT])))
        );
        match poll(response.as_mut()) {
            Poll::Ready(response) => rejection(&response.unwrap()),
            Poll::Pending => panic!("the body is in memory"),
        }
    };
    assert_eq!(answer(), None);
    clock.advance(Duration::from_secs(600));
    assert_eq!(answer(), None);
    clock.advance(Duration::from_nanos(1));
    assert_eq!(
        answer(),
        Some(Rejection::Unverified(VerifyError::StaleTimestamp))
    );
    assert!(clock.now() > now());
}

proptest! {
    #[test]
    fn any_split_of_a_body_equals_the_whole(
        padding in "[a-z]{0,3000}",
        cuts: Vec<prop::sample::Index>,
        pauses: Vec<bool>,
        announced: bool,
    ) {
        let body = format!(r#"{{"jobId":"job-1","status":"succeeded","padding":"{padding}"}}"#);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let mut pauses = pauses.into_iter().chain(std::iter::repeat(false));
        let steps = cuts.windows(2).flat_map(|pair| {
            let data = Step::Data(Bytes::copy_from_slice(&body.as_bytes()[pair[0]..pair[1]]));
            let pause = pauses.next().unwrap_or(false).then_some(Step::Pending);
            pause.into_iter().chain([data]).collect::<Vec<_>>()
        });
        let mut script = Script::new(steps.collect::<Vec<_>>());
        if announced {
            script = script.announcing(body.len().try_into().unwrap());
        }
        let service = layer().layer(Echo::default());
        let mut response = pin!(service.oneshot(request(body.as_bytes(), script)));
        let response = loop {
            if let Poll::Ready(response) = poll(response.as_mut()) {
                break response.unwrap();
            }
        };
        prop_assert_eq!(response.status(), StatusCode::OK);
        let mut echoed = pin!(bytes(response));
        prop_assert_eq!(poll(echoed.as_mut()), Poll::Ready(Bytes::from(body)));
    }

    #[test]
    fn body_with_one_changed_byte_is_refused(at: prop::sample::Index, change in 1..=255_u8) {
        let mut forged = EVENT.to_vec();
        forged[at.index(EVENT.len())] ^= change;
        let service = layer().layer(Echo::default());
        let mut response = pin!(service.oneshot(request(EVENT, Script::frames([&forged[..]]))));
        let Poll::Ready(response) = poll(response.as_mut()) else {
            return Err(TestCaseError::fail("the body is in memory"));
        };
        let expected = Rejection::Unverified(VerifyError::SignatureMismatch);
        prop_assert_eq!(rejection(&response.unwrap()), Some(expected));
    }
}
