use maud::{Markup, html};
use tower_pyannote_inbox::InboxEntry;

use super::{
    Page,
    layout::{self, Section},
    svg,
    text::clock,
};
use crate::{
    api::{MeetingWindow, Words},
    page::{access::Visitor, assets},
};

/// The page of a meeting.
pub(in crate::page) fn meeting(
    entry: &InboxEntry,
    has_recording: bool,
    window: &MeetingWindow,
    texts: Option<&[Words]>,
    visitor: &Visitor,
) -> Page {
    let event = format!("/page/events/{}", entry.id);
    let content = html! {
        p.crumbs { a href="/page" { "Events" } " / " a href=(event) { (entry.id) } " / Meeting" }
        h1.job { (entry.job_id) }
        dl.facts {
            div { dt { "Length" } dd { (clock(window.duration)) } }
            div { dt { "Speech" } dd { (clock(window.speech_time)) " " small { (percent(window.speech_time, window.duration)) } } }
            div { dt { "Overlap" } dd { (clock(window.overlap)) " " small { (percent(window.overlap, window.speech_time)) " of speech" } } }
            div { dt { "Speakers" } dd { (window.lanes.len()) } }
        }
        (player(entry, has_recording))
        section #timeline-section aria-labelledby="timeline-title" {
            div.heading {
                h2 #timeline-title { "Timeline" }
                div.zoom role="group" aria-label="Zoom" hidden {
                    button type="button" data-zoom="left" aria-label="Earlier" { "←" }
                    button type="button" data-zoom="right" aria-label="Later" { "→" }
                    button type="button" data-zoom="in" aria-label="Zoom in" { "+" }
                    button type="button" data-zoom="out" aria-label="Zoom out" { "−" }
                    button type="button" data-zoom="all" { "All" }
                }
            }
            div #timeline tabindex="0" role="application" aria-label="Timeline. Arrow keys move, plus and minus zoom, 0 shows all, Enter plays."
                data-address=(format!("{event}/timeline")) data-words=(format!("/api/v1/events/{}/words", entry.id)) {
                (svg::timeline(window, 1_000))
            }
            p #cursor .cursor aria-live="off" { "Point at the timeline to read what is said." }
            div #said { (said(texts)) }
        }
        (speakers(window))
        p.quiet { "Turns that a screen cannot separate are drawn as one: zoom in to separate them. "
            "Paler turns are less certain, and the dark line below a turn is where its speaker alone is counted." }
        script type="module" src=(assets::address("meeting.js")) {}
    };
    layout::page(&entry.job_id, Section::Events, visitor, "", &content)
}

fn player(entry: &InboxEntry, has_recording: bool) -> Markup {
    let address = has_recording.then(|| format!("/api/v1/events/{}/audio", entry.id));
    let label = match has_recording {
        true => "Or choose the recording on this computer",
        false => "Listen: choose the recording on this computer",
    };
    html! {
        div.player {
            audio #audio controls aria-label="Recording" preload="none" src=[address] hidden[!has_recording] {}
            label.file { span { (label) }
                input #audio-file type="file" accept="audio/*,video/*";
            }
            p #audio-problem .problem role="alert" hidden {
                "The recording cannot be played. pyannoteAI deletes a recording about two days after its upload."
            }
        }
    }
}

/// The picture of a part, and what is said in it.
pub(in crate::page) fn part(window: &MeetingWindow, texts: Option<&[Words]>, width: usize) -> Page {
    Page(html! {
        (svg::timeline(window, width))
        (said(texts))
    })
}

fn said(texts: Option<&[Words]>) -> Markup {
    html! {
        @match texts {
            None => p.quiet.said { "Zoom in to read the transcript." },
            Some([]) => {},
            Some(texts) => ol.said {
                @for text in texts {
                    li { button type="button" data-at=(format!("{:.2}", text.start)) { (clock(text.start)) }
                        " " b { (text.speaker) } " " (text.text) }
                }
            },
        }
    }
}

fn speakers(window: &MeetingWindow) -> Markup {
    let all: f64 = window.lanes.iter().map(|lane| lane.talk_time).sum();
    html! {
        section aria-labelledby="speakers" {
            h2 #speakers { "Talk time" }
            table.plain.talk {
                thead { tr { th scope="col" { "Speaker" } th.number scope="col" { "Talk time" } th.number scope="col" { "Share" } th.number scope="col" { "Turns" } } }
                tbody {
                    @for (place, lane) in window.lanes.iter().enumerate() {
                        tr {
                            th scope="row" { (svg::swatch(place)) " " (lane.speaker) }
                            td.number { (clock(lane.talk_time)) }
                            td.number { (percent(lane.talk_time, all)) }
                            td.number { (lane.turns) }
                        }
                    }
                }
            }
        }
    }
}

fn percent(part: f64, all: f64) -> String {
    match all > 0.0 {
        true => format!("{:.0} %", part / all * 100.0),
        false => "0 %".to_owned(),
    }
}

/// The texts of turns that are listed below a timeline.
pub(in crate::page) const MOST_TEXTS: usize = 60;
