use pyannoteai_client::{
    DiarizeRequest, IdentifyRequest, JobRequest, ListJobs, MediaKey, Model, TranscriptionModel,
    VoiceprintRequest,
};
use serde_json::json;
use tower_pyannote::{Kind, Status};

use crate::server::{Reply, Server};
use crate::{AUDIO, KEY, builder, builder_at, client, diarize, now};

#[tokio::test]
async fn a_diarization_sends_every_field_by_its_documented_name() {
    let server = Server::start([Reply::new(
        200,
        r#"{"jobId":"job-1","status":"created","warning":"w"}"#,
    )])
    .await;
    let request = diarize()
        .with_webhook("https://example.com/hook?t=1")
        .unwrap()
        .with_webhook_status_only(true)
        .with_model(Model::Precision2)
        .unwrap()
        .with_min_speakers(2)
        .unwrap()
        .with_max_speakers(4)
        .unwrap()
        .with_turn_level_confidence(true)
        .with_exclusive(false)
        .with_confidence(true)
        .with_speech_probability(true)
        .with_crosstalk_probability(false)
        .with_speaker_probability(true)
        .with_transcription(true)
        .unwrap()
        .with_transcription_model(TranscriptionModel::ParakeetTdt06bV3);
    let job = client(&server).diarize(request).await.unwrap();
    assert_eq!(job.job_id, "job-1");
    assert_eq!(job.kind, Kind::Diarization);
    assert_eq!(job.status, Status::Created);
    assert_eq!(job.warning.as_deref(), Some("w"));
    assert_eq!(job.submitted_at, now());
    assert!(job.log_error().is_none());

    let [request] = &server.requests()[..] else {
        panic!("one request");
    };
    assert_eq!(request.line(), "POST /v1/diarize");
    assert_eq!(
        request.header("authorization"),
        Some(&*format!("Bearer {KEY}"))
    );
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(
        request.header("content-length"),
        Some(&*request.body.len().to_string())
    );
    assert_eq!(
        request.json(),
        json!({
            "url": AUDIO, "webhook": "https://example.com/hook?t=1", "webhookStatusOnly": true,
            "model": "precision-2", "minSpeakers": 2, "maxSpeakers": 4,
            "turnLevelConfidence": true, "exclusive": false, "confidence": true,
            "speechProbability": true, "crosstalkProbability": false, "speakerProbability": true,
            "transcription": true, "transcriptionConfig": {"model": "parakeet-tdt-0.6b-v3"},
        })
    );
}

#[tokio::test]
async fn an_identification_sends_every_field_by_its_documented_name() {
    let server = Server::start([Reply::submitted()]).await;
    let request = IdentifyRequest::new("media://a/b.wav", [("Ann", "AAAA"), ("Bob", "BBBB")])
        .unwrap()
        .with_webhook("https://example.com/hook")
        .unwrap()
        .with_webhook_status_only(false)
        .with_model(Model::Precision2)
        .unwrap()
        .with_num_speakers(1)
        .unwrap()
        .with_turn_level_confidence(false)
        .with_exclusive(true)
        .with_confidence(false)
        .with_speech_probability(false)
        .with_crosstalk_probability(true)
        .with_speaker_probability(false)
        .with_exclusive_matching(true)
        .with_matching_threshold(62.5)
        .unwrap();
    let job = client(&server).identify(request).await.unwrap();
    assert_eq!(job.kind, Kind::Identification);
    let [request] = &server.requests()[..] else {
        panic!("one request");
    };
    assert_eq!(request.line(), "POST /v1/identify");
    assert_eq!(
        request.json(),
        json!({
            "url": "media://a/b.wav",
            "voiceprints": [
                {"label": "Ann", "voiceprint": "AAAA"}, {"label": "Bob", "voiceprint": "BBBB"},
            ],
            "webhook": "https://example.com/hook", "webhookStatusOnly": false,
            "model": "precision-2", "numSpeakers": 1,
            "turnLevelConfidence": false, "exclusive": true, "confidence": false,
            "speechProbability": false, "crosstalkProbability": true, "speakerProbability": false,
            "matching": {"exclusive": true, "threshold": 62.5},
        })
    );
}

#[tokio::test]
async fn a_voiceprint_sends_every_field_by_its_documented_name() {
    let server = Server::start([Reply::submitted()]).await;
    let request = VoiceprintRequest::new(MediaKey::new("ann.wav").unwrap())
        .unwrap()
        .with_webhook("http://127.0.0.1:8000/webhook")
        .unwrap()
        .with_webhook_status_only(true)
        .with_model(Model::Precision2)
        .unwrap();
    let job = client(&server).voiceprint(request).await.unwrap();
    assert_eq!(job.kind, Kind::Voiceprint);
    let [request] = &server.requests()[..] else {
        panic!("one request");
    };
    assert_eq!(request.line(), "POST /v1/voiceprint");
    assert_eq!(
        request.json(),
        json!({
            "url": "media://ann.wav", "webhook": "http://127.0.0.1:8000/webhook",
            "webhookStatusOnly": true, "model": "precision-2",
        })
    );
}

#[tokio::test]
async fn options_that_are_not_set_are_not_sent() {
    let server = Server::start([Reply::submitted(), Reply::submitted(), Reply::submitted()]).await;
    let client = client(&server);
    client.diarize(diarize()).await.unwrap();
    let identify = IdentifyRequest::new(AUDIO, [("Ann", "AAAA")]).unwrap();
    client.identify(identify).await.unwrap();
    let voiceprint = VoiceprintRequest::new(AUDIO).unwrap();
    client.voiceprint(voiceprint).await.unwrap();
    let bodies: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.json())
        .collect();
    let voiceprints = json!([{"label": "Ann", "voiceprint": "AAAA"}]);
    assert_eq!(
        bodies,
        [
            json!({"url": AUDIO}),
            json!({"url": AUDIO, "voiceprints": voiceprints}),
            json!({"url": AUDIO}),
        ]
    );
}

#[tokio::test]
async fn a_request_without_a_webhook_gets_the_clients() {
    let server = Server::start([Reply::submitted(), Reply::submitted(), Reply::submitted()]).await;
    let (_, builder) = builder(&server);
    let client = builder
        .with_webhook("https://example.com/all")
        .unwrap()
        .build()
        .unwrap();
    let own = VoiceprintRequest::new(AUDIO)
        .unwrap()
        .with_webhook("https://example.com/own");
    let requests: [JobRequest; 3] = [
        diarize().into(),
        IdentifyRequest::new(AUDIO, [("Ann", "AAAA")])
            .unwrap()
            .into(),
        own.unwrap().into(),
    ];
    for request in requests {
        client.submit(request).await.unwrap();
    }
    let webhooks: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.json()["webhook"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        webhooks,
        [
            "https://example.com/all",
            "https://example.com/all",
            "https://example.com/own"
        ]
    );
}

#[tokio::test]
async fn a_job_has_the_event_of_its_webhook_once_it_ended() {
    let running = r#"{"jobId":"job-1","status":"running","createdAt":"2026-01-15T11:00:00Z"}"#;
    let over = r#"{"jobId":"job-1","status":"succeeded","createdAt":"2026-01-15T11:00:00Z",
        "updatedAt":"2026-01-15T11:30:00.5Z","output":{"diarization":[{"speaker":"A","start":0,"end":1}]}}"#;
    let server = Server::start([Reply::new(200, running), Reply::new(200, over)]).await;
    let client = client(&server);
    let job = client.job("job-1").await.unwrap();
    assert_eq!(*job.status(), Status::Running);
    assert_eq!(
        job.created_at().unwrap().to_string(),
        "2026-01-15T11:00:00Z"
    );
    assert!(job.event().is_none() && job.output().is_none() && job.updated_at().is_none());

    let job = client.job("job-1").await.unwrap();
    assert_eq!(
        job.updated_at().unwrap().to_string(),
        "2026-01-15T11:30:00.5Z"
    );
    assert_eq!(
        job.output()
            .unwrap()
            .as_diarization()
            .unwrap()
            .diarization
            .len(),
        1
    );
    let event = job.event().unwrap();
    assert_eq!(event.job_id(), "job-1");
    assert_eq!(event.kind(), Some(Kind::Diarization));
    assert_eq!(event.raw(), over.as_bytes());
    assert_eq!(event.received_at(), now());
    assert_eq!(server.lines(), ["GET /v1/jobs/job-1"; 2]);
    let request = &server.requests()[0];
    assert_eq!(
        request.header("authorization"),
        Some(&*format!("Bearer {KEY}"))
    );
    assert!(request.body.is_empty());
}

#[tokio::test]
async fn failed_and_canceled_jobs_have_events() {
    let failed = r#"{"jobId":"job-1","status":"failed","output":{"error":"no audio"}}"#;
    let server = Server::start([Reply::new(200, failed), Reply::job("canceled")]).await;
    let client = client(&server);
    let event = client.job("job-1").await.unwrap().event().unwrap();
    assert_eq!(
        (event.status(), event.error()),
        (&Status::Failed, Some("no audio"))
    );
    let event = client.job("job-1").await.unwrap().event().unwrap();
    assert_eq!(*event.status(), Status::Canceled);
}

#[tokio::test]
async fn a_job_id_is_one_segment_of_the_path() {
    let odd = "a/../b?c#d e";
    let body = format!(r#"{{"jobId":"{odd}","status":"running"}}"#);
    let server = Server::start([Reply::new(200, body)]).await;
    assert_eq!(client(&server).job(odd).await.unwrap().job_id(), odd);
    assert_eq!(server.lines(), ["GET /v1/jobs/a%2F..%2Fb%3Fc%23d%20e"]);
}

#[tokio::test]
async fn a_list_of_jobs_has_the_requested_limit_cursor_and_status() {
    let page = r#"{"items":[
        {"id":"j2","status":"running","createdAt":"2026-01-15T11:00:00Z"},
        {"id":"j1","status":"failed","createdAt":"yesterday","more":1}],"nextCursor":"c/2"}"#;
    let server = Server::start([Reply::new(200, page), Reply::new(200, page)]).await;
    let client = client(&server);
    let page = client.jobs(&ListJobs::new()).await.unwrap();
    assert_eq!(page.next_cursor.as_deref(), Some("c/2"));
    let [second, first] = &page.items[..] else {
        panic!("two jobs");
    };
    assert_eq!((&*second.job_id, second.status.as_str()), ("j2", "running"));
    assert_eq!(
        second.created_at.unwrap().to_string(),
        "2026-01-15T11:00:00Z"
    );
    assert_eq!((&first.status, first.created_at), (&Status::Failed, None));

    let list = ListJobs::new()
        .with_limit(100)
        .unwrap()
        .with_cursor("a&b")
        .with_status(Status::Failed);
    client.jobs(&list).await.unwrap();
    assert_eq!(
        server.lines(),
        [
            "GET /v2/jobs",
            "GET /v2/jobs?limit=100&cursor=a%26b&status=failed"
        ]
    );
}

#[tokio::test]
async fn jobs_are_listed_by_every_documented_status() {
    use Status::{Canceled, Created, Failed, Pending, Running, Succeeded};
    let page = Reply::new(200, r#"{"items":[]}"#);
    let server = Server::start(vec![page; 6]).await;
    let client = client(&server);
    for status in [Pending, Created, Running, Succeeded, Failed, Canceled] {
        let list = ListJobs::new().with_status(status);
        client.jobs(&list).await.unwrap();
    }
    assert_eq!(
        server.lines(),
        [
            "GET /v2/jobs?status=pending",
            "GET /v2/jobs?status=created",
            "GET /v2/jobs?status=running",
            "GET /v2/jobs?status=succeeded",
            "GET /v2/jobs?status=failed",
            "GET /v2/jobs?status=canceled"
        ]
    );
}

#[tokio::test]
async fn pages_follow_the_cursor_to_the_last_page() {
    let page = |id: &str, next: &str| {
        Reply::new(
            200,
            format!(r#"{{"items":[{{"id":"{id}","status":"running"}}],"nextCursor":{next}}}"#),
        )
    };
    let server = Server::start([
        page("a", r#""two""#),
        page("b", r#""three""#),
        page("c", "null"),
    ])
    .await;
    let mut pages = client(&server).job_pages(ListJobs::new().with_limit(1).unwrap());
    let mut ids = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        ids.extend(page.items.into_iter().map(|job| job.job_id.to_string()));
    }
    assert_eq!(ids, ["a", "b", "c"]);
    assert!(pages.next().await.unwrap().is_none());
    assert_eq!(
        server.lines(),
        [
            "GET /v2/jobs?limit=1",
            "GET /v2/jobs?limit=1&cursor=two",
            "GET /v2/jobs?limit=1&cursor=three"
        ]
    );
}

#[tokio::test]
async fn a_failed_page_is_read_again_by_the_next_call() {
    let last = Reply::new(200, r#"{"items":[],"nextCursor":null}"#);
    let server = Server::start([Reply::new(404, ""), last]).await;
    let mut pages = client(&server).job_pages(ListJobs::new());
    pages.next().await.unwrap_err();
    assert!(pages.next().await.unwrap().unwrap().items.is_empty());
    assert!(pages.next().await.unwrap().is_none());
}

#[tokio::test]
async fn the_key_test_has_status_and_message() {
    let server = Server::start([Reply::new(200, r#"{"status":"OK","message":"valid"}"#)]).await;
    let test = client(&server).test_key().await.unwrap();
    assert_eq!((&*test.status, &*test.message), ("OK", "valid"));
    assert_eq!(server.lines(), ["GET /v1/test"]);
}

#[tokio::test]
async fn the_path_of_the_base_url_is_kept() {
    let test = || Reply::new(200, r#"{"status":"OK"}"#);
    let server = Server::start([test(), test()]).await;
    for path in ["/behind/a/proxy", "/behind/a/proxy/"] {
        let url = format!("{}{path}", server.url());
        let client = builder_at(url).build().unwrap();
        client.test_key().await.unwrap();
    }
    assert_eq!(server.lines(), ["GET /behind/a/proxy/v1/test"; 2]);
}

/// Returns the field that the error names.
fn invalid_field(request: Result<DiarizeRequest, pyannoteai_client::InvalidRequest>) -> String {
    request.unwrap_err().field().to_owned()
}

#[test]
fn an_audio_url_is_http_https_or_media() {
    let longest = format!("media://{}", "a".repeat(247));
    for good in [
        "http://a/b",
        "https://a/b?c",
        "media://A-Z_a.z/0-9",
        &longest,
    ] {
        assert!(DiarizeRequest::new(good).is_ok(), "{good}");
    }
    let too_long = format!("media://{}", "a".repeat(248));
    for bad in [
        "",
        "a.wav",
        "ftp://a/b",
        "file:///a",
        "https://",
        "media://",
        "media://a b",
        "media://ä",
        "media://a?b",
        &too_long,
    ] {
        assert_eq!(invalid_field(DiarizeRequest::new(bad)), "url", "{bad}");
        assert_eq!(
            VoiceprintRequest::new(bad).unwrap_err().field(),
            "url",
            "{bad}"
        );
        let identify = IdentifyRequest::new(bad, [("Ann", "AAAA")]);
        assert_eq!(identify.unwrap_err().field(), "url", "{bad}");
    }
}

#[test]
fn media_keys_have_valid_characters_and_length() {
    let longest = "a".repeat(247);
    for good in ["a", "A/b-c_d.9", &longest] {
        assert_eq!(
            MediaKey::new(good).unwrap().as_str(),
            format!("media://{good}")
        );
    }
    assert_eq!(MediaKey::new(&longest).unwrap().len(), 255);
    let too_long = "a".repeat(248);
    for bad in [
        "",
        "media://",
        "a b",
        "ä",
        "a:b",
        "a\n",
        "media://media://a",
        &too_long,
    ] {
        assert_eq!(MediaKey::new(bad).unwrap_err().field(), "url", "{bad}");
    }
}

#[test]
fn webhooks_are_https_except_on_loopback() {
    for good in [
        "https://a/b",
        "http://localhost/b",
        "http://127.0.0.1:8000",
        "http://[::1]/",
    ] {
        assert!(diarize().with_webhook(good).is_ok(), "{good}");
    }
    for bad in [
        "http://example.com/",
        "http://localhost.example.com/",
        "a",
        "ftp://localhost",
        "media://a",
    ] {
        assert_eq!(
            invalid_field(diarize().with_webhook(bad)),
            "webhook",
            "{bad}"
        );
    }
}

#[test]
fn numbers_of_speakers_are_positive_and_min_is_at_most_max() {
    assert_eq!(invalid_field(diarize().with_num_speakers(0)), "numSpeakers");
    assert_eq!(invalid_field(diarize().with_min_speakers(0)), "minSpeakers");
    assert_eq!(invalid_field(diarize().with_max_speakers(0)), "maxSpeakers");
    let two = diarize()
        .with_min_speakers(2)
        .unwrap()
        .with_max_speakers(2)
        .unwrap();
    assert_eq!(
        invalid_field(two.clone().with_max_speakers(1)),
        "maxSpeakers"
    );
    assert_eq!(invalid_field(two.with_min_speakers(3)), "minSpeakers");
}

#[test]
fn a_number_of_speakers_excludes_a_minimum_and_a_maximum() {
    let three = || diarize().with_num_speakers(3).unwrap();
    assert_eq!(invalid_field(three().with_min_speakers(3)), "minSpeakers");
    assert_eq!(invalid_field(three().with_max_speakers(3)), "maxSpeakers");
    let at_least = diarize().with_min_speakers(2).unwrap();
    assert_eq!(invalid_field(at_least.with_num_speakers(2)), "numSpeakers");
    let at_most = diarize().with_max_speakers(2).unwrap();
    let refused = at_most.with_num_speakers(2).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`numSpeakers` cannot be combined: give `numSpeakers`, or `minSpeakers` and `maxSpeakers`"
    );
    let identify = IdentifyRequest::new(AUDIO, [("Ann", "AAAA")]).unwrap();
    let refused = identify.with_num_speakers(2).unwrap().with_max_speakers(2);
    assert_eq!(refused.unwrap_err().field(), "maxSpeakers");
}

#[tokio::test]
async fn a_diarization_sends_its_number_of_speakers() {
    let server = Server::start([Reply::submitted()]).await;
    let request = diarize().with_num_speakers(3).unwrap();
    client(&server).diarize(request).await.unwrap();
    assert_eq!(
        server.requests()[0].json(),
        json!({"url": AUDIO, "numSpeakers": 3})
    );
}

#[test]
fn only_precision_2_identifies_and_makes_voiceprints() {
    let identify = || IdentifyRequest::new(AUDIO, [("Ann", "AAAA")]).unwrap();
    let voiceprint = || VoiceprintRequest::new(AUDIO).unwrap();
    assert!(identify().with_model(Model::Precision2).is_ok());
    assert!(voiceprint().with_model(Model::Precision2).is_ok());
    let refused = identify().with_model(Model::Community1).unwrap_err();
    assert_eq!(refused.field(), "model");
    let refused = voiceprint().with_model(Model::Community1).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`model` only diarizes: give precision-2, or leave out the model"
    );
}

#[test]
fn a_voiceprint_has_at_most_20_000_characters() {
    let identify = |voiceprint: String| IdentifyRequest::new(AUDIO, [("Ann", voiceprint)]);
    assert!(identify("A".repeat(20_000)).is_ok());
    assert!(identify("é".repeat(20_000)).is_ok());
    let refused = identify("A".repeat(20_001)).unwrap_err();
    assert_eq!(refused.field(), "voiceprints[0].voiceprint");
    assert_eq!(
        refused.reason(),
        "is longer than 20,000 characters: give the output of a voiceprint job"
    );
}

#[test]
fn only_precision_2_can_transcribe() {
    let community = diarize().with_model(Model::Community1).unwrap();
    assert!(community.clone().with_transcription(false).is_ok());
    assert_eq!(
        invalid_field(community.with_transcription(true)),
        "transcription"
    );
    let transcribed = diarize().with_transcription(true).unwrap();
    assert!(transcribed.clone().with_model(Model::Precision2).is_ok());
    assert_eq!(
        invalid_field(transcribed.with_model(Model::Community1)),
        "model"
    );
}

#[test]
fn voiceprints_are_1_to_50_with_unique_labels() {
    let identify = |labels: &[&str]| {
        let voiceprints: Vec<_> = labels.iter().map(|label| (*label, "AAAA")).collect();
        IdentifyRequest::new(AUDIO, voiceprints).map_err(|error| error.field().to_owned())
    };
    let numbered: Vec<String> = (0..51).map(|number| format!("s{number}")).collect();
    let numbered: Vec<&str> = numbered.iter().map(String::as_str).collect();
    assert!(identify(&numbered[..50]).is_ok());
    let longest = "é".repeat(100);
    for label in [
        "Ann",
        &longest,
        "SPEAKER",
        "speaker 1",
        "A SPEAKER_",
        "éSPEAKER_0",
    ] {
        assert!(identify(&[label]).is_ok(), "{label}");
    }
    let too_long = "é".repeat(101);
    let cases: [(&[&str], &str); 7] = [
        (&[], "voiceprints"),
        (&numbered, "voiceprints"),
        (&["Ann", ""], "voiceprints[1].label"),
        (&["Ann", "Bob", "Ann"], "voiceprints[2].label"),
        (&[&too_long], "voiceprints[0].label"),
        (&["SPEAKER_00"], "voiceprints[0].label"),
        (&["sPeAkEr_x"], "voiceprints[0].label"),
    ];
    for (labels, field) in cases {
        assert_eq!(identify(labels).unwrap_err(), field, "{labels:?}");
    }
    let empty = IdentifyRequest::new(AUDIO, [("Ann", "")]).unwrap_err();
    assert_eq!(empty.field(), "voiceprints[0].voiceprint");
}

#[test]
fn thresholds_and_limits_outside_their_range_are_refused() {
    let identify = || IdentifyRequest::new(AUDIO, [("Ann", "AAAA")]).unwrap();
    for good in [0.0, 100.0] {
        assert!(identify().with_matching_threshold(good).is_ok());
    }
    for bad in [-0.1, 100.1, f64::NAN, f64::INFINITY] {
        let refused = identify().with_matching_threshold(bad).unwrap_err();
        assert_eq!(refused.field(), "matching.threshold");
    }
    assert!(ListJobs::new().with_limit(1).is_ok() && ListJobs::new().with_limit(100).is_ok());
    for bad in [0, 101, 255] {
        assert_eq!(
            ListJobs::new().with_limit(bad).unwrap_err().field(),
            "limit"
        );
    }
}

#[test]
fn debug_of_requests_leaves_out_voiceprints_and_queries() {
    let request = IdentifyRequest::new("https://a/b.wav?token=s3cret", [("Ann", "biometric")])
        .unwrap()
        .with_webhook("https://me:s3cret@c/d?t=s3cret")
        .unwrap();
    let shown = format!("{:?}", JobRequest::from(request));
    assert!(shown.contains("\"https://a/b.wav\"") && shown.contains("\"https://c/d\""));
    assert!(shown.contains("\"Ann\": [9 bytes]"));
    assert!(
        !shown.contains("s3cret") && !shown.contains("biometric"),
        "{shown}"
    );
}

#[test]
fn references_outside_their_limits_are_refused() {
    let at_most = "é".repeat(127) + "x";
    assert_eq!(at_most.len(), 255);
    let request: JobRequest = diarize().with_reference(&at_most).unwrap().into();
    assert_eq!(request.reference().unwrap(), &*at_most);
    for (reference, reason) in [
        ("", "is empty: give a key of your own, or leave it out"),
        (
            &(at_most + "x"),
            "is longer than 255 bytes: give a key, and keep the rest in the metadata",
        ),
        ("a\nb", "has a control character: give plain text"),
        ("a\0", "has a control character: give plain text"),
    ] {
        let refused = diarize().with_reference(reference).unwrap_err();
        assert_eq!((refused.field(), refused.reason()), ("reference", reason));
    }
}

#[test]
fn metadata_outside_its_limits_is_refused_and_debug_hides_it() {
    // With its quotes.
    let request = diarize().with_metadata(&"x".repeat(4_094)).unwrap();
    let refused = request
        .clone()
        .with_metadata(&"x".repeat(4_095))
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`metadata` has more than 4,096 bytes of json: keep the rest in a store of your own"
    );
    let unnamed = std::collections::HashMap::from([([1], 2)]);
    let refused = diarize().with_metadata(&unnamed).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`metadata` cannot be written as json: give a value that json can express"
    );
    let debug = format!("{request:?}");
    assert!(
        debug.contains("JobMetadata([4096 bytes])") && !debug.contains("xx"),
        "{debug}"
    );
}

#[test]
fn at_most_50_voiceprints_are_identified_with_the_known_speakers() {
    let speakers = |from: usize, to| (from..to).map(|number| (format!("S{number}"), "AAAA"));
    let request = IdentifyRequest::new(AUDIO, speakers(0, 20)).unwrap();
    let request = request.with_speakers(speakers(20, 50)).unwrap();
    let refused = request.with_speakers([("Ann", "AAAA")]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`voiceprints` has more than 50: submit several identifications"
    );
    let endless = (0..).map(|number| (format!("S{number}"), "AAAA"));
    let request = IdentifyRequest::new(AUDIO, [("Ann", "AAAA")]).unwrap();
    let refused = request.clone().with_speakers(endless).unwrap_err();
    assert_eq!(refused.field(), "voiceprints");
    let refused = request
        .with_speakers([("Bob", "BBBB"), ("Ann", "CCCC")])
        .unwrap_err();
    assert_eq!(refused.field(), "voiceprints[2].label");
}

#[tokio::test]
async fn speakers_are_sent_after_the_voiceprints_and_own_data_is_not_sent() {
    let server = Server::start([Reply::submitted()]).await;
    let request = IdentifyRequest::new(AUDIO, [("Ann", "AAAA")])
        .unwrap()
        .with_speakers([("Bob", "BBBB")])
        .unwrap()
        .with_reference("meeting-42")
        .unwrap()
        .with_metadata(&json!({"room": "Blue"}))
        .unwrap();
    let job = client(&server).identify(request).await.unwrap();
    assert_eq!(job.reference.as_deref(), Some("meeting-42"));
    assert_eq!(job.metadata.unwrap().as_str(), r#"{"room":"Blue"}"#);
    // Without a log nobody must know of it before.
    assert_eq!(job.intent_id, None);
    assert_eq!(
        server.requests()[0].json(),
        json!({
            "url": AUDIO,
            "voiceprints": [
                {"label": "Ann", "voiceprint": "AAAA"},
                {"label": "Bob", "voiceprint": "BBBB"},
            ],
        })
    );
}
