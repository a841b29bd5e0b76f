use proptest::prelude::*;

use super::{
    Diarization, Identification, Label, Turns,
    json::{self, Read, Reader},
};

fn read<T: Read<Label>>(json: &str) -> Option<T> {
    json::read(json).ok()
}

/// A value that is skipped.
struct Skipped;

impl Read<Label> for Skipped {
    fn read(json: &mut Reader<'_, Label>) -> Option<Self> {
        json.skip().map(|()| Self)
    }
}

/// The reader only gets checked text, but it must not hang or panic on any other.
#[test]
fn cut_text_ends_without_panic() {
    let json = r#"{"diarization":[{"speaker":"SPEAKER_00","start":-1.5e1,"confidence":{"a\n":null}}],
        "new":[{"é":[true]}],"confidence":{"score":[1,2.5,null],"resolution":0.02},"warning":"\u00e9"}"#;
    for (end, _) in json.char_indices() {
        assert!(read::<Diarization>(&json[..end]).is_none());
    }
    assert!(read::<Diarization>(json).is_some());
}

proptest! {
    #[test]
    fn reader_never_panics(text in any::<String>(), json in "[\\[\\]{}\",:\\\\nu0-9.e é-]{0,40}") {
        let _ = read::<Diarization>(&text);
        let _ = read::<Identification>(&json);
        let _ = read::<Turns>(&json);
        let _ = json::read::<Label, Skipped>(&json);
    }
}
