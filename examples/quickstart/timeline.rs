use tower_pyannote::event::Turns;

/// Draws one line a speaker, from left to right over time, with each speaker's total.
pub(crate) fn draw(turns: &Turns) -> String {
    let step = turns.duration() / f64::from(COLUMNS);
    let line = |speaker: &str| -> String {
        (0..COLUMNS)
            .map(|column| {
                let start = f64::from(column) * step;
                let speaks = turns
                    .between(start..start + step)
                    .any(|turn| turn.speaker == *speaker);
                if speaks { '█' } else { '·' }
            })
            .collect()
    };
    let mut drawn = String::new();
    for (speaker, seconds) in turns.talk_times().iter() {
        drawn += &format!("    {speaker:<11} {} {seconds:>5.1} s\n", line(speaker));
    }
    drawn
        + &format!(
            "    {:.0} s in all, {:.1} s of them with two or more at once\n",
            turns.duration(),
            turns.overlap(),
        )
}

const COLUMNS: u8 = 60;
