//! A store that records what is asked of it, and can lack `PutMode::Create`.

use std::{fmt, sync::Mutex};

use futures_util::stream::BoxStream;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMode,
    PutMultipartOptions, PutOptions, PutResult, Result,
};

use super::*;

#[derive(Debug, Default)]
pub(crate) struct Recorded {
    inner: InMemory,
    lacks_create: bool,
    requests: Mutex<Vec<String>>,
}

impl Recorded {
    pub(crate) fn without_create() -> Self {
        Self {
            lacks_create: true,
            ..Self::default()
        }
    }

    /// Returns the requests since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    fn record(&self, request: &str, location: &Location) {
        let mut requests = self.requests.lock().unwrap();
        requests.push(format!("{request} {location}"));
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorded")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Recorded {
    async fn put_opts(
        &self,
        location: &Location,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let is_create = options.mode == PutMode::Create;
        self.record(if is_create { "create" } else { "put" }, location);
        if is_create && self.lacks_create {
            return Err(Error::NotImplemented {
                operation: "`put_opts` with mode `PutMode::Create`".into(),
                implementer: self.to_string(),
            });
        }
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Location,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Location, options: GetOptions) -> Result<GetResult> {
        self.record(if options.head { "head" } else { "get" }, location);
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Location>>,
    ) -> BoxStream<'static, Result<Location>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Location>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.record("list", prefix.unwrap_or(&Location::default()));
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Location>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Location, to: &Location, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
