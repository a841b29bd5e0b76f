use super::VerifyError;

/// A timestamp, and the bytes of its header, because the signature is over those.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timestamp {
    pub(super) seconds: u64,
    bytes: [u8; MAX_DIGITS],
    len: usize,
}

impl Timestamp {
    pub(super) fn parse(value: &[u8]) -> Result<Self, VerifyError> {
        let mut bytes = [0; MAX_DIGITS];
        if value.is_empty() || value.len() > MAX_DIGITS {
            return Err(VerifyError::MalformedTimestamp);
        }
        let mut seconds = 0;
        for (kept, &byte) in bytes.iter_mut().zip(value) {
            if !byte.is_ascii_digit() {
                return Err(VerifyError::MalformedTimestamp);
            }
            // 19 digits stay below 10^19, which fits a u64.
            seconds = seconds * 10 + u64::from(byte - b'0');
            *kept = byte;
        }
        Ok(Self {
            seconds,
            bytes,
            len: value.len(),
        })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

const MAX_DIGITS: usize = 19;
