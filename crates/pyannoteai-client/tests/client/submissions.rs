use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pyannoteai_client::{
    Client, ClientErrorKind, IdentifyRequest, JobRequest, SubmissionIntent, SubmissionLog,
    SubmittedJob, VoiceprintRequest,
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

/// A submission log that records its calls, with the number of the intent.
#[derive(Default)]
struct Diary {
    lines: Mutex<Vec<String>>,
    ids: Mutex<Vec<String>>,
    refuses: bool,
}

impl Diary {
    fn add(&self, what: &str, id: &str) {
        let mut ids = self.ids.lock().unwrap();
        let number = ids.iter().position(|known| known == id);
        let number = number.unwrap_or_else(|| {
            ids.push(id.to_owned());
            ids.len() - 1
        });
        self.lines.lock().unwrap().push(format!("{what} {number}"));
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

impl SubmissionLog for Diary {
    async fn submitted(&self, job: &SubmittedJob) -> Result<(), Box<dyn Error + Send + Sync>> {
        let id = job.intent_id.as_deref().unwrap_or("none");
        self.add(
            &format!("{} {}", job.job_id, job.reference.as_deref().unwrap_or("-")),
            id,
        );
        Ok(())
    }

    async fn submitting(
        &self,
        intent: &SubmissionIntent,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let seconds = intent.begun_at.duration_since(now()).unwrap().as_secs();
        let reference = intent.reference.as_deref().unwrap_or("-");
        self.add(
            &format!("submitting {} {reference} at {seconds} s", intent.kind),
            &intent.id,
        );
        match self.refuses {
            true => Err("disk full".into()),
            false => Ok(()),
        }
    }

    async fn not_submitted(
        &self,
        intent: &SubmissionIntent,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.add("not submitted", &intent.id);
        Ok(())
    }

    async fn unanswered(
        &self,
        intent: &SubmissionIntent,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.add("unanswered", &intent.id);
        Ok(())
    }
}

async fn keeping(diary: &Arc<Diary>, replies: Vec<Reply>) -> (Server, Client) {
    let server = Server::start(replies).await;
    let builder = builder(&server).1.with_submission_log(Arc::clone(diary));
    let builder = builder.with_timeout(Duration::from_millis(200)).unwrap();
    (server, builder.build().unwrap())
}

#[tokio::test]
async fn the_log_is_told_of_a_reference_before_each_attempt_and_of_its_end() {
    let limited = Reply::new(429, "").with_header("retry-after", 1);
    let cases = [
        (
            vec![Reply::submitted()],
            &["submitting diarization m at 0 s 0", "job-1 m 0"][..],
        ),
        (
            vec![limited, Reply::submitted()],
            &[
                "submitting diarization m at 0 s 0",
                "not submitted 0",
                "submitting diarization m at 1 s 0",
                "job-1 m 0",
            ],
        ),
        (
            vec![Reply::new(400, "")],
            &["submitting diarization m at 0 s 0", "not submitted 0"],
        ),
        (
            vec![Reply::new(500, "")],
            &["submitting diarization m at 0 s 0", "unanswered 0"],
        ),
        (
            vec![Reply::never()],
            &["submitting diarization m at 0 s 0", "unanswered 0"],
        ),
        // The job exists, but its id cannot be read.
        (
            vec![Reply::new(200, "{}")],
            &["submitting diarization m at 0 s 0", "unanswered 0"],
        ),
    ];
    for (replies, expected) in cases {
        let diary = Arc::new(Diary::default());
        let (_server, client) = keeping(&diary, replies).await;
        let request = diarize().with_reference("m").unwrap();
        let submitted = client.diarize(request).await;
        assert_eq!(diary.lines(), expected, "{submitted:?}");
    }
}

#[tokio::test]
async fn the_log_is_told_of_metadata_alone_and_of_nothing_before_a_job_without_own_data() {
    let diary = Arc::new(Diary::default());
    let (_server, client) = keeping(&diary, vec![Reply::submitted(), Reply::submitted()]).await;
    client.diarize(diarize()).await.unwrap();
    let request = VoiceprintRequest::new(AUDIO)
        .unwrap()
        .with_metadata(&7)
        .unwrap();
    client.voiceprint(request).await.unwrap();
    let expected = ["job-1 - 0", "submitting voiceprint - at 0 s 1", "job-1 - 1"];
    assert_eq!(diary.lines(), expected);
}

#[tokio::test]
async fn a_job_whose_reference_cannot_be_recorded_is_not_submitted() {
    let diary = Arc::new(Diary {
        refuses: true,
        ..Diary::default()
    });
    let (server, client) = keeping(&diary, vec![Reply::submitted()]).await;
    let request = diarize().with_reference("m").unwrap();
    let error = client.diarize(request).await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::NotRecorded);
    assert!(!error.may_have_been_submitted());
    assert_eq!(
        error.to_string(),
        "the submission log failed, so the job was not submitted: submit it again"
    );
    assert_eq!(error.source().unwrap().to_string(), "disk full");
    assert_eq!(server.count(), 0);
    assert_eq!(
        diary.lines(),
        ["submitting diarization m at 0 s 0", "not submitted 0"]
    );
}
