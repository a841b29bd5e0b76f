use std::pin::pin;

use futures_util::future::{Either, select};
use reqwest::{RequestBuilder, Response};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::download::Download;
use crate::endpoint::Endpoint;
use crate::error::{ClientError, ErrorResponse};
use crate::error_kind::ClientErrorKind;
use crate::media::{MediaKey, PresignedUrl};
use crate::send::{Call, Effect};
use crate::telemetry;
use crate::upload::{Upload, UploadState};

impl Client {
    /// Uploads an audio under a key, and returns the key, which a request takes as its URL.
    ///
    /// An upload is not retried, because it reads the audio while it sends it.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError`] if the API gave no URL, the storage refused the upload, the connection broke or stalled,
    /// or the audio could not be read or has another length than announced.
    pub async fn upload(&self, key: MediaKey, upload: Upload) -> Result<MediaKey, ClientError> {
        let url = self.media_input(&key).await?;
        let uploaded = self.put(&url, upload).await;
        telemetry::requested("upload", uploaded.as_ref().err());
        uploaded.map(|()| key)
    }

    /// Starts to download the audio of a key.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError`] if the API gave no URL, or if the storage refused the download or could not be reached.
    /// The storage refuses a key without audio.
    pub async fn download(&self, key: &MediaKey) -> Result<Download, ClientError> {
        let url = self.media_output(key).await?;
        let response = self.retry("download", Effect::Read, async || {
            let response = self.fetch(&url).await;
            telemetry::requested("download", response.as_ref().err());
            response
        });
        let (stall_timeout, clock) = (self.shared.stall_timeout, self.shared.clock.clone());
        Ok(Download::new(response.await?, stall_timeout, clock))
    }

    /// Returns the URL for an upload by HTTP `PUT` without the API key. [`upload`](Self::upload) asks for it itself.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError`] if the API refused the request or sent no valid response.
    pub async fn media_input(&self, key: &MediaKey) -> Result<PresignedUrl, ClientError> {
        self.presigned("media_input", "input", key).await
    }

    /// Returns the URL for a download by HTTP `GET` without the API key. [`download`](Self::download) asks for it
    /// itself.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError`] if the API refused the request or sent no valid response.
    pub async fn media_output(&self, key: &MediaKey) -> Result<PresignedUrl, ClientError> {
        self.presigned("media_output", "output", key).await
    }

    async fn presigned(
        &self,
        name: &'static str,
        direction: &str,
        key: &MediaKey,
    ) -> Result<PresignedUrl, ClientError> {
        let url = self.url(&["v1", "media", direction]);
        let body = MediaRequest { url: key.as_str() };
        let call = Call::post(name, Endpoint::Media, Effect::Write, url, &body)?;
        let response: MediaResponse = serde_json::from_slice(&self.send(&call).await?)
            .map_err(|_| ClientError::decode("no presigned url"))?;
        PresignedUrl::parse(&response.url, self.shared.insecure_http)
    }

    async fn put(&self, url: &PresignedUrl, upload: Upload) -> Result<(), ClientError> {
        let (body, state) = upload.into_body();
        let request = self.shared.http.put(url.url());
        let sending = request.body(reqwest::Body::wrap(body)).send();
        let sent = match select(pin!(sending), pin!(self.stalled(&state))).await {
            Either::Left((sent, _)) => sent,
            Either::Right(_) => return Err(ClientError::new(ClientErrorKind::Timeout)),
        };
        if let Some(error) = state.take_failure() {
            return Err(ClientError::io("cannot read the audio", error));
        }
        check_storage(sent.map_err(ClientError::from_reqwest)?)?;
        Ok(())
    }

    async fn fetch(&self, url: &PresignedUrl) -> Result<Response, ClientError> {
        self.receive(self.shared.http.get(url.url())).await
    }

    /// Sends a request to the storage and receives the head of the response.
    pub(crate) async fn receive(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let shared = &*self.shared;
        let response = shared
            .clock
            .within(shared.stall_timeout, request.send())
            .await
            .ok_or_else(|| ClientError::new(ClientErrorKind::Timeout))?;
        check_storage(response.map_err(ClientError::from_reqwest)?)
    }

    /// Completes once the upload made no progress for the stall timeout.
    async fn stalled(&self, state: &UploadState) {
        let mut before = None;
        while before != Some(state.sent()) {
            before = Some(state.sent());
            self.sleep(self.shared.stall_timeout).await;
        }
    }
}

/// Ignores the body of an error, because it may repeat the presigned URL.
fn check_storage(response: Response) -> Result<Response, ClientError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let (kind, body) = (ClientErrorKind::Storage, ErrorResponse::default());
    Err(ClientError::from_response(kind, status, body))
}

#[derive(Serialize)]
struct MediaRequest<'a> {
    url: &'a str,
}

#[derive(Deserialize)]
struct MediaResponse {
    url: String,
}
