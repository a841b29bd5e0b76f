use std::time::Duration;

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use tower_pyannote::verify::SignatureEncoding;

/// The flags of both commands that say how webhooks are signed.
#[derive(Args)]
pub(super) struct Signing {
    /// The encoding of signatures
    #[arg(long, default_value = "hex", value_parser = encoding())]
    pub(super) sign_encoding: SignatureEncoding,

    /// Write `v0=` before signatures
    #[arg(long)]
    pub(super) version_prefix: bool,
}

fn encoding() -> impl TypedValueParser<Value = SignatureEncoding> {
    PossibleValuesParser::new(["hex", "base64"]).map(|name| match &*name {
        "base64" => SignatureEncoding::Base64,
        _ => SignatureEncoding::Hex,
    })
}

pub(super) fn seconds(value: &str) -> Result<Duration, &'static str> {
    let seconds = value.parse().ok().filter(|seconds| *seconds >= 0.001);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or("give a number of at least 0.001")
}
