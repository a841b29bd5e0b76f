/// A group of endpoints that share a rate limit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Endpoint {
    Diarize,
    Identify,
    Voiceprint,
    /// Presigned URLs for uploads and downloads.
    Media,
    /// Reads of jobs and of their list.
    Jobs,
    Test,
}
