use std::path::Path;

use object_store::{PutPayload, PutResult, Result};

/// Leaves each create to `LocalFileSystem`, because this operating system has no `syncfs`.
#[derive(Debug, Default)]
pub(super) struct Creates;

impl Creates {
    pub(super) async fn create(
        &self,
        _path: &Path,
        _payload: &PutPayload,
    ) -> Option<Result<PutResult>> {
        None
    }

    pub(super) async fn alone(
        &self,
        create: impl Future<Output = Result<PutResult>>,
    ) -> Result<PutResult> {
        create.await
    }
}
