use std::future::Future;
use std::pin::pin;

use futures_util::future::{Either, select};
use reqwest::{Response, Url};
use serde::{Deserialize, Serialize};

use crate::download::Download;
use crate::error::{Answer, ClientError};
use crate::error_kind::ClientErrorKind;
use crate::media::{MediaKey, PresignedUrl};
use crate::send::{Call, Effect};
use crate::upload::{Upload, UploadState};
use crate::{Client, telemetry};

impl Client {
    /// Uploads an audio under a key, and returns the key, which a request takes for its URL.
    ///
    /// It is not repeated, as the audio is read while it is sent.
    ///
    /// # Errors
    ///
    /// The API gave no address; the storage refused; the connection broke or stalled; or the audio could not be read, or
    /// had not the length that it should have.
    pub async fn upload(&self, key: MediaKey, upload: Upload) -> Result<MediaKey, ClientError> {
        let address = self.media_input(&key).await?;
        let uploaded = self.put(&address, upload).await;
        telemetry::requested("upload", uploaded.as_ref().err());
        uploaded.map(|()| key)
    }

    /// Begins to download the audio of a key.
    ///
    /// # Errors
    ///
    /// The API gave no address; the storage refused, as it does for a key without audio; or it could not be reached.
    pub async fn download(&self, key: &MediaKey) -> Result<Download, ClientError> {
        let address = self.media_output(key).await?;
        let answer = self.repeat("download", Effect::Read, async || {
            let answer = self.fetch(&address).await;
            telemetry::requested("download", answer.as_ref().err());
            answer
        });
        let (stall, time) = (self.inner.stall_timeout, self.inner.time.clone());
        Ok(Download::new(answer.await?, stall, time))
    }

    /// Asks where to put an audio, by an HTTP `PUT` without the API key; [`upload`](Self::upload) does both.
    ///
    /// # Errors
    ///
    /// The API refused, or did not answer as documented.
    pub async fn media_input(&self, key: &MediaKey) -> Result<PresignedUrl, ClientError> {
        self.presigned("media_input", "input", key).await
    }

    /// Asks where to get an audio, by an HTTP `GET` without the API key; [`download`](Self::download) does both.
    ///
    /// # Errors
    ///
    /// The API refused, or did not answer as documented.
    pub async fn media_output(&self, key: &MediaKey) -> Result<PresignedUrl, ClientError> {
        self.presigned("media_output", "output", key).await
    }

    async fn presigned(
        &self,
        name: &'static str,
        direction: &str,
        key: &MediaKey,
    ) -> Result<PresignedUrl, ClientError> {
        let body = serde_json::to_vec(&MediaRequest { url: key.as_str() }).map_err(|error| {
            ClientError::new(ClientErrorKind::InvalidRequest).with_source(error)
        })?;
        let url = self.url(&["v1", "media", direction]);
        let answer = self
            .send(&Call::post(name, Effect::Write, url, body))
            .await?;
        let answer: MediaAnswer = serde_json::from_slice(&answer)
            .map_err(|_| ClientError::decode("it has no presigned url"))?;
        PresignedUrl::parse(&answer.url, self.inner.insecure_http)
    }

    async fn put(&self, address: &PresignedUrl, upload: Upload) -> Result<(), ClientError> {
        let (body, state) = upload.into_body();
        let request = self.inner.http.put(address.url());
        let sending = request.body(reqwest::Body::wrap(body)).send();
        let sent = match select(pin!(sending), pin!(self.stalled(&state))).await {
            Either::Left((sent, _)) => sent,
            Either::Right(_) => return Err(ClientError::new(ClientErrorKind::Timeout)),
        };
        if let Some(error) = state.take_failure() {
            return Err(ClientError::io("the audio could not be read", error));
        }
        stored(sent?)?;
        Ok(())
    }

    async fn fetch(&self, address: &PresignedUrl) -> Result<Response, ClientError> {
        let url: Url = address.url();
        let sending = self.inner.http.get(url).send();
        let answer = self
            .inner
            .time
            .within(self.inner.stall_timeout, sending)
            .await;
        let Some(answer) = answer else {
            return Err(ClientError::new(ClientErrorKind::Timeout));
        };
        stored(answer?)
    }

    /// Completes once nothing was sent for a while.
    fn stalled(&self, state: &UploadState) -> impl Future<Output = ()> + Send {
        let (time, limit) = (&self.inner.time, self.inner.stall_timeout);
        async move {
            let mut before = None;
            while before != Some(state.sent()) {
                before = Some(state.sent());
                time.sleep(limit).await;
            }
        }
    }
}

/// Takes the storage's answer for what its status says; what else it says may repeat the presigned URL.
fn stored(response: Response) -> Result<Response, ClientError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let answer = Answer {
        status: Some(status),
        ..Answer::default()
    };
    Err(ClientError::of_storage(answer))
}

#[derive(Serialize)]
struct MediaRequest<'a> {
    url: &'a str,
}

#[derive(Deserialize)]
struct MediaAnswer {
    url: String,
}
