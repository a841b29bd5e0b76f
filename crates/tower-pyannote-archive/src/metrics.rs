//! The metrics of the archive: names, units and help texts.
//!
//! The archive records them through the `metrics` facade, so an exporter of your choice publishes them. Call [`describe`]
//! after you installed the exporter.
//!
//! | name | kind | unit | labels | help |
//! |---|---|---|---|---|
//! | `pyannote_webhook_archive_conflicts_total` | counter | count | | Duplicates whose body differs from the archived event. |

tower_pyannote::__metrics! {
    CONFLICTS = "pyannote_webhook_archive_conflicts_total", Counter, "count", [],
        "Duplicates whose body differs from the archived event.";
}
