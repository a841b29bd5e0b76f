//! Compares the crate's time with the least possible work, and its peers' time with the crate's. Candidates take turns, and
//! the medians are compared.
//!
//! `cargo bench --bench ratios` prints the tables. A word after `--` selects the tables whose title contains it.

mod event;
mod layer;
mod verify;

use tower_pyannote_benches::rounds::Rounds;

fn main() {
    let rounds = Rounds::from_args();
    let wanted = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let tables: [(&str, Measure); 6] = [
        ("verify", verify::over_hmac),
        ("peers", verify::peers),
        ("layer", layer::over_its_parts),
        ("envelope", event::envelope),
        ("typed", event::typed),
        ("sonic", event::sonic),
    ];
    for (title, measure) in tables {
        if wanted
            .as_ref()
            .is_none_or(|wanted| title.contains(wanted.as_str()))
        {
            measure(rounds);
        }
    }
}

type Measure = fn(Rounds);
