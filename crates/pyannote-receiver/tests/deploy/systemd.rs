//! `deploy/systemd`, checked by systemd itself.

use std::fs;

use tower_pyannote_test_support::{process::dir, program::binary};

use crate::program::{find, printed, replace, run, text};

#[test]
fn unit_is_valid_and_its_exposure_is_at_most_one_and_a_half_of_ten() {
    let Some(analyze) = find("systemd-analyze") else {
        return;
    };
    let (dir, name) = (dir(), "pyannote-receiver.service");
    let unit = text("systemd/pyannote-receiver.service");
    let receiver = binary("pyannote-receiver");
    let unit = replace(
        &unit,
        "/usr/local/bin/pyannote-receiver",
        receiver.to_str().unwrap(),
    );
    fs::write(dir.path().join(name), unit).unwrap();

    let verified = printed(&run(
        &analyze,
        &["verify", "--man=no", &format!("./{name}")],
        dir.path(),
    ));
    assert!(!verified.contains(name), "{verified}");

    let threshold = ["security", "--offline=true", "--threshold=15", name];
    printed(&run(&analyze, &threshold, dir.path()));
}
