use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pyannoteai_client::{
    Client, ClientErrorKind, IdentifyRequest, JobRequest, SubmissionLog, SubmittedJob,
    VoiceprintRequest,
};
use tokio::net::TcpListener;
use tower_pyannote::Kind;

use crate::server::{Behavior, RawServer, Reply, Server};
use crate::{AUDIO, SkippingClock, builder, builder_at, client, diarize, now};

fn raw_client(server: &RawServer) -> Client {
    builder_at(server.url())
        .with_clock(SkippingClock::default())
        .with_timeout(Duration::from_millis(500))
        .unwrap()
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_submission_is_not_repeated_after_a_connection_failure() {
    let cases = [
        (Behavior::Close, ClientErrorKind::Transport),
        (Behavior::Reset, ClientErrorKind::Transport),
        (Behavior::Cut, ClientErrorKind::Transport),
        (Behavior::Hang, ClientErrorKind::Timeout),
    ];
    for (behavior, kind) in cases {
        let server = RawServer::start([behavior]).await;
        let error = raw_client(&server).diarize(diarize()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{behavior:?}");
        assert!(error.may_have_been_submitted(), "{behavior:?}");
        assert!(
            error.to_string().ends_with(
                "; the job may have been submitted: look for it before submitting again"
            )
        );
        assert_eq!(server.count(), 1, "{behavior:?}");
    }
}

#[tokio::test]
async fn a_submission_on_a_reused_connection_is_not_repeated() {
    for behavior in [
        Behavior::Close,
        Behavior::Reset,
        Behavior::Cut,
        Behavior::Hang,
    ] {
        let server = RawServer::start([Behavior::Answer, Behavior::Answer, behavior]).await;
        let client = raw_client(&server);
        client.diarize(diarize()).await.unwrap();
        client.job("job-1").await.unwrap();
        let error = client.diarize(diarize()).await.unwrap_err();
        assert!(error.may_have_been_submitted(), "{behavior:?}");
        assert_eq!(server.count(), 3, "{behavior:?}");
    }
}

#[tokio::test]
async fn a_closed_reused_connection_causes_no_second_submission() {
    let server = RawServer::start(vec![Behavior::AnswerAndClose; 50]).await;
    let client = raw_client(&server);
    let mut unsure = 0;
    for submissions in 1..=50 {
        if let Err(error) = client.diarize(diarize()).await {
            assert!(error.may_have_been_submitted());
            unsure += 1;
        }
        let arrived = server.count();
        assert!(arrived <= submissions, "{arrived} of {submissions}");
        assert!(
            arrived >= submissions - unsure,
            "{arrived} of {submissions}"
        );
    }
}

#[tokio::test]
async fn every_kind_of_submission_is_not_repeated_after_5xx_or_timeout() {
    let requests: [JobRequest; 3] = [
        diarize().into(),
        IdentifyRequest::new(AUDIO, [("Ann", "AAAA")])
            .unwrap()
            .into(),
        VoiceprintRequest::new(AUDIO).unwrap().into(),
    ];
    for request in requests {
        for reply in [
            Reply::new(500, ""),
            Reply::new(503, "").with_header("retry-after", 1),
            Reply::never(),
        ] {
            let server = Server::start([reply, Reply::submitted()]).await;
            let (clock, builder) = builder(&server);
            let client = builder
                .with_timeout(Duration::from_millis(200))
                .unwrap()
                .build()
                .unwrap();
            let error = client.submit(request.clone()).await.unwrap_err();
            assert!(error.may_have_been_submitted());
            assert_eq!(server.count(), 1);
            assert_eq!(clock.sleeps(), []);
        }
    }
}

#[tokio::test]
async fn a_submission_is_repeated_after_429() {
    let limited = Reply::new(429, r#"{"requestId":"r","message":"m"}"#);
    let server = Server::start([limited.with_header("retry-after", 42), Reply::submitted()]).await;
    let (clock, builder) = builder(&server);
    let job = builder.build().unwrap().diarize(diarize()).await.unwrap();
    assert_eq!(job.job_id, "job-1");
    assert_eq!(server.lines(), ["POST /v1/diarize"; 2]);
    assert_eq!(clock.sleeps(), [Duration::from_secs(42)]);
}

#[tokio::test]
async fn a_submission_that_always_got_429_was_not_submitted() {
    let server = Server::start(vec![Reply::new(429, ""); 5]).await;
    let error = client(&server).diarize(diarize()).await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::RateLimited);
    assert!(!error.may_have_been_submitted());
    assert_eq!(server.count(), 4);
}

#[tokio::test]
async fn a_submission_without_a_connection_is_retried_and_was_not_submitted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let clock = SkippingClock::default();
    let client = builder_at(url).with_clock(clock.clone());
    let error = client
        .build()
        .unwrap()
        .diarize(diarize())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::Connect);
    assert!(!error.may_have_been_submitted());
    assert_eq!(clock.sleeps().len(), 3);
}

#[derive(Default)]
struct Log {
    jobs: Mutex<Vec<SubmittedJob>>,
    fails: bool,
}

impl SubmissionLog for Log {
    async fn submitted(&self, job: &SubmittedJob) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.jobs.lock().unwrap().push(job.clone());
        match self.fails {
            true => Err("disk full".into()),
            false => Ok(()),
        }
    }
}

#[tokio::test]
async fn every_job_is_recorded_before_its_submission_returns() {
    let log = Arc::new(Log::default());
    let server = Server::start([Reply::submitted(), Reply::submitted(), Reply::submitted()]).await;
    let client = builder(&server)
        .1
        .with_submission_log(Arc::clone(&log))
        .build()
        .unwrap();
    client.diarize(diarize()).await.unwrap();
    client
        .identify(IdentifyRequest::new(AUDIO, [("Ann", "AAAA")]).unwrap())
        .await
        .unwrap();
    client
        .voiceprint(VoiceprintRequest::new(AUDIO).unwrap())
        .await
        .unwrap();
    let jobs = log.jobs.lock().unwrap();
    let kinds: Vec<_> = jobs.iter().map(|job| job.kind).collect();
    assert_eq!(
        kinds,
        [Kind::Diarization, Kind::Identification, Kind::Voiceprint]
    );
    assert!(
        jobs.iter()
            .all(|job| job.job_id == "job-1" && job.submitted_at == now())
    );
}

#[tokio::test]
async fn a_failing_submission_log_does_not_fail_the_submission() {
    let log = Arc::new(Log {
        fails: true,
        ..Log::default()
    });
    let server = Server::start([Reply::submitted()]).await;
    let client = builder(&server)
        .1
        .with_submission_log(Arc::clone(&log))
        .build()
        .unwrap();
    let job = client.diarize(diarize()).await.unwrap();
    assert_eq!(job.job_id, "job-1");
    assert_eq!(job.log_error().unwrap().to_string(), "disk full");
    assert_eq!(log.jobs.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_refused_submission_is_not_recorded() {
    let log = Arc::new(Log::default());
    let server = Server::start([Reply::new(400, "")]).await;
    let client = builder(&server)
        .1
        .with_submission_log(Arc::clone(&log))
        .build()
        .unwrap();
    client.diarize(diarize()).await.unwrap_err();
    assert!(log.jobs.lock().unwrap().is_empty());
}
