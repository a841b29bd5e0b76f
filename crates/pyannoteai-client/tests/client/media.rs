use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use pyannoteai_client::{Client, ClientErrorKind, MediaKey, Upload, UploadProgress};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::server::{Reply, Server};
use crate::{KEY, builder_at};

fn key() -> MediaKey {
    MediaKey::new("a/b.wav").unwrap()
}

/// Starts an API and its storage, and returns both with a client.
async fn api_and_storage(replies: impl IntoIterator<Item = Reply>) -> (Server, Server, Client) {
    let storage = Server::start(replies).await;
    let url = format!("{}/bucket/x?signature=s3cret", storage.url());
    let address = Reply::new(201, json!({ "url": url }).to_string());
    let api = Server::start([address]).await;
    let client = builder_at(api.url())
        .with_stall_timeout(Duration::from_secs(20))
        .unwrap()
        .build()
        .unwrap();
    (api, storage, client)
}

#[tokio::test]
async fn an_upload_sends_no_api_key_to_the_storage() {
    let (api, storage, client) = api_and_storage([Reply::new(200, "")]).await;
    let upload = Upload::from_bytes("RIFF").unwrap();
    assert_eq!(client.upload(key(), upload).await.unwrap(), key());

    let [request] = &api.requests()[..] else {
        panic!("one request");
    };
    assert_eq!(request.line(), "POST /v1/media/input");
    assert_eq!(request.json(), json!({"url": "media://a/b.wav"}));
    assert_eq!(
        request.header("authorization"),
        Some(&*format!("Bearer {KEY}"))
    );

    let [put] = &storage.requests()[..] else {
        panic!("one request");
    };
    assert_eq!(put.line(), "PUT /bucket/x?signature=s3cret");
    assert_eq!(put.body, "RIFF");
    assert_eq!(put.header("content-length"), Some("4"));
    assert_eq!(put.header("transfer-encoding"), None);
    assert_eq!(put.header("content-type"), None);
    assert!(!format!("{:?}", put.headers).contains(KEY));
    assert_eq!(put.header("authorization"), None);
}

/// A reader of zeros that records the largest read.
struct Zeros {
    left: u64,
    largest_read: Arc<Mutex<usize>>,
}

impl AsyncRead for Zeros {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut largest = self.largest_read.lock().unwrap();
        *largest = buffer.remaining().max(*largest);
        drop(largest);
        let count = buffer.remaining().min(usize::try_from(self.left).unwrap());
        buffer.put_slice(&vec![0; count]);
        self.left -= count as u64;
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn an_upload_is_read_in_chunks_and_reports_progress() {
    let (_, storage, client) = api_and_storage([Reply::new(200, "")]).await;
    let len = 10 * 1024 * 1024 + 3;
    let largest_read = Arc::new(Mutex::new(0));
    let zeros = Zeros {
        left: len,
        largest_read: Arc::clone(&largest_read),
    };
    let reported = Arc::new(Mutex::new(Vec::<UploadProgress>::new()));
    let recorder = Arc::clone(&reported);
    let upload = Upload::from_reader(zeros, len)
        .unwrap()
        .with_progress(move |progress| recorder.lock().unwrap().push(progress));
    assert_eq!(upload.len(), len);
    client.upload(key(), upload).await.unwrap();

    assert_eq!(storage.requests()[0].body.len() as u64, len);
    assert!(*largest_read.lock().unwrap() <= 64 * 1024);
    let reported = reported.lock().unwrap();
    assert!(reported.len() > 100);
    assert!(reported.iter().all(|progress| progress.total == len));
    assert!(reported.windows(2).all(|pair| {
        let chunk = pair[1].sent - pair[0].sent;
        0 < chunk && chunk <= 64 * 1024
    }));
    assert_eq!(reported.last().unwrap().sent, len);
}

#[tokio::test]
async fn a_file_is_uploaded() {
    let (_, storage, client) = api_and_storage([Reply::new(204, "")]).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.wav");
    let audio: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&path, &audio).unwrap();
    let upload = Upload::from_path(&path).await.unwrap();
    client.upload(key(), upload).await.unwrap();
    assert_eq!(storage.requests()[0].body, audio);
}

#[tokio::test]
async fn an_upload_of_another_length_than_announced_fails() {
    for (announced, what) in [(3, "more than the 3 bytes"), (5, "fewer than the 5 bytes")] {
        let (_, _, client) = api_and_storage([Reply::new(200, "")]).await;
        let upload = Upload::from_reader(io::Cursor::new("RIFF"), announced).unwrap();
        let error = client.upload(key(), upload).await.unwrap_err();
        assert_eq!(error.kind(), ClientErrorKind::Io);
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(what), "{source}");
    }
}

#[tokio::test]
async fn an_unreadable_empty_or_too_large_audio_is_refused() {
    let missing = Upload::from_path("/does/not/exist").await.unwrap_err();
    assert_eq!(missing.kind(), ClientErrorKind::Io);
    assert_eq!(Upload::from_bytes("").unwrap_err().field(), "media");
    let gib = 1 << 30;
    assert!(Upload::from_reader(tokio::io::empty(), gib).is_ok());
    let too_large = Upload::from_reader(tokio::io::empty(), gib + 1).unwrap_err();
    assert_eq!(too_large.field(), "media");
}

#[tokio::test]
async fn a_stalled_upload_times_out() {
    let storage = Server::start([]).await;
    let url = format!("{}/x", storage.url());
    let api = Server::start([Reply::new(201, json!({ "url": url }).to_string())]).await;
    let client = builder_at(api.url())
        .with_stall_timeout(Duration::from_millis(100))
        .unwrap()
        .build()
        .unwrap();
    let (reader, _writer) = tokio::io::duplex(16);
    let upload = Upload::from_reader(reader, 4).unwrap();
    let error = client.upload(key(), upload).await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::Timeout);
}

#[tokio::test]
async fn an_error_of_the_storage_leaves_out_its_body() {
    let refusal = Reply::new(403, "<Error>signature=s3cret</Error>");
    let (_, storage, client) = api_and_storage([refusal]).await;
    let upload = Upload::from_bytes("RIFF").unwrap();
    let error = client.upload(key(), upload).await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::Storage);
    assert_eq!(error.status().unwrap().as_u16(), 403);
    assert!(!format!("{error} {error:?}").contains("s3cret"));
    assert_eq!(storage.count(), 1);
}

#[tokio::test]
async fn redirects_of_the_storage_are_not_followed() {
    let elsewhere = Server::start([Reply::new(200, "")]).await;
    let to = Reply::new(307, "").with_header("location", elsewhere.url());
    let (_, _, client) = api_and_storage([to]).await;
    let error = client
        .upload(key(), Upload::from_bytes("RIFF").unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::Storage);
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn a_download_sends_no_api_key_to_the_storage() {
    let (api, storage, client) =
        api_and_storage([Reply::new(503, ""), Reply::new(200, "RIFF")]).await;
    let download = client.download(&key()).await.unwrap();
    assert_eq!(download.content_length(), Some(4));
    let mut audio = Vec::new();
    assert_eq!(download.copy_to(&mut audio).await.unwrap(), 4);
    assert_eq!(audio, b"RIFF");
    assert_eq!(api.lines(), ["POST /v1/media/output"]);
    assert_eq!(api.requests()[0].json(), json!({"url": "media://a/b.wav"}));
    assert_eq!(storage.lines(), ["GET /bucket/x?signature=s3cret"; 2]);
    assert_eq!(storage.requests()[1].header("authorization"), None);
}

#[tokio::test]
async fn a_download_over_its_limit_fails() {
    let (_, _, client) = api_and_storage([Reply::new(200, "RIFFRIFF")]).await;
    let mut download = client.download(&key()).await.unwrap().with_limit(7);
    let error = download.chunk().await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::TooLarge);
    let (_, _, client) = api_and_storage([Reply::new(200, "RIFFRIFF")]).await;
    let mut download = client.download(&key()).await.unwrap().with_limit(8);
    assert_eq!(download.chunk().await.unwrap().unwrap(), "RIFFRIFF");
    assert!(download.chunk().await.unwrap().is_none());
}

#[tokio::test]
async fn a_writer_that_fails_is_an_io_error() {
    let (_, _, client) = api_and_storage([Reply::new(200, "RIFF")]).await;
    let (mut writer, reader) = tokio::io::duplex(1);
    drop(reader);
    let download = client.download(&key()).await.unwrap();
    let error = download.copy_to(&mut writer).await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::Io);
}

#[tokio::test]
async fn a_download_of_missing_media_is_a_storage_error() {
    let (_, storage, client) = api_and_storage([Reply::new(404, "")]).await;
    let error = client.download(&key()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status().unwrap().as_u16()),
        (ClientErrorKind::Storage, 404)
    );
    assert_eq!(storage.count(), 1);
}

#[tokio::test]
async fn presigned_urls_must_be_secure_and_debug_leaves_out_the_query() {
    for (url, good) in [
        ("https://storage.example/x?signature=s3cret", true),
        ("http://127.0.0.1:9/x?signature=s3cret", true),
        ("http://storage.example/x", false),
        ("file:///etc/passwd", false),
        ("x", false),
    ] {
        let api = Server::start([Reply::new(201, json!({ "url": url }).to_string())]).await;
        let client = builder_at(api.url()).build().unwrap();
        match client.media_output(&key()).await {
            Ok(address) => {
                assert!(good, "{url}");
                assert_eq!(address.as_str(), url);
                assert!(!format!("{address:?}").contains("s3cret"));
            }
            Err(error) => {
                assert!(!good, "{url}");
                assert_eq!(error.kind(), ClientErrorKind::Decode);
            }
        }
    }
}

#[tokio::test]
async fn a_request_for_a_presigned_url_is_not_retried_after_500() {
    let api = Server::start([Reply::new(500, "")]).await;
    let client = builder_at(api.url()).build().unwrap();
    let error = client.media_input(&key()).await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::Server);
    assert!(!error.may_have_been_submitted(), "not a submission");
    assert_eq!(api.count(), 1);
}

#[tokio::test]
async fn the_error_of_a_failing_reader_is_the_source() {
    let (_, _, client) = api_and_storage([Reply::new(200, "")]).await;
    let upload =
        Upload::from_reader(AsyncReadExt::chain(io::Cursor::new("RI"), Broken), 4).unwrap();
    let error = client.upload(key(), upload).await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::Io);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "disk failure");
}

struct Broken;

impl AsyncRead for Broken {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::Error::other("disk failure")))
    }
}

#[tokio::test]
async fn a_part_is_requested_by_its_range_and_no_more_bytes_are_returned() {
    let range =
        |range: &str, body: &'static str| Reply::new(206, body).with_header("content-range", range);
    let replies = [
        range("bytes 2-5/9", "2345"),
        range("bytes 7-8/9", "78"),
        range("bytes 0-3/9", "0123"),
        Reply::new(200, "012345678").with_header("content-type", "audio/wav"),
        Reply::new(200, "012345678"),
        Reply::new(416, ""),
        Reply::new(416, ""),
    ];
    let (api, storage, client) = api_and_storage(replies).await;
    let url = client.media_output(&key()).await.unwrap();
    let part = client.download_part(&url, 2..6).await.unwrap();
    assert_eq!((&part.bytes[..], part.size), (&b"2345"[..], 9));
    let end = client.download_part(&url, 7..100).await.unwrap();
    assert_eq!((&end.bytes[..], end.size), (&b"78"[..], 9));
    let other = client.download_part(&url, 4..8).await.unwrap_err();
    assert_eq!(other.kind(), ClientErrorKind::Decode);
    // A storage that ignores `Range` sends the whole file.
    let whole = client.download_part(&url, 0..4).await.unwrap();
    assert_eq!((&whole.bytes[..], whole.size), (&b"0123"[..], 9));
    assert_eq!(whole.content_type.as_deref(), Some("audio/wav"));
    let late = client.download_part(&url, 4..8).await.unwrap_err();
    assert_eq!(late.kind(), ClientErrorKind::Decode);
    let outside = client.download_part(&url, 9..10).await.unwrap_err();
    assert_eq!(outside.kind(), ClientErrorKind::Storage);
    assert_eq!(outside.status().unwrap(), 416);
    let last = client.download_part(&url, u64::MAX..u64::MAX).await;
    assert_eq!(last.unwrap_err().status().unwrap(), 416);
    let requests = storage.requests();
    assert_eq!(requests[0].header("range"), Some("bytes=2-5"));
    assert_eq!(requests[0].header("authorization"), None);
    assert_eq!(api.requests().len(), 1);
}
