//! `deploy/prometheus` and `deploy/grafana`, checked by promtool and against the metrics that the crates describe.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::Value;
use tower_pyannote::metrics::{Metric, MetricKind};
use tower_pyannote_test_support::process::dir;

use crate::program::{file, find, printed, run, text};

#[test]
fn alerts_fire_as_their_tests_say() {
    let Some(promtool) = find("promtool") else {
        return;
    };
    let folder = file("prometheus");
    printed(&run(
        &promtool,
        &["check", "config", "prometheus.yml"],
        &folder,
    ));
    printed(&run(
        &promtool,
        &["test", "rules", "alerts.test.yml"],
        &folder,
    ));
}

#[test]
fn every_alert_has_a_test_in_which_it_fires_and_a_row_in_the_guide() {
    let tests = text("prometheus/alerts.test.yml");
    let guide = fs::read_to_string(file("../docs/operating.md")).unwrap();
    let alerts = text("prometheus/alerts.yml");
    let names: Vec<_> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(!names.is_empty());
    for name in names {
        let case = format!("- alertname: {name}\n");
        let mut cases = tests.split(&case).skip(1);
        let fires = cases.any(|case| {
            let expected = case.lines().nth(1).map(str::trim);
            expected == Some("exp_alerts:")
        });
        assert!(fires, "no test in which {name} fires");
        assert!(
            guide.contains(&format!("| `{name}` |")),
            "no row for {name}"
        );
    }
}

#[test]
fn every_reason_of_an_alert_has_a_row_in_troubleshooting() {
    let guide = fs::read_to_string(file("../docs/troubleshooting.md")).unwrap();
    let alerts = text("prometheus/alerts.yml");
    let (_, rest) = alerts.split_once(r#"reason=~""#).unwrap();
    let (reasons, _) = rest.split_once('"').unwrap();
    for reason in reasons.split('|') {
        let row = format!("`{reason}`");
        let mut rows = guide
            .lines()
            .filter(|line| line.starts_with("| 4") || line.starts_with("| 5"));
        assert!(rows.any(|line| line.contains(&row)), "no row for {reason}");
    }
}

#[test]
fn every_metric_and_label_of_alerts_and_panels_is_described() {
    let metrics = described();
    let mut expressions = panels();
    expressions.extend([
        text("prometheus/alerts.yml"),
        text("prometheus/alerts.test.yml"),
    ]);
    let mut seen = BTreeSet::new();
    for expression in &expressions {
        for (name, labels) in series(expression) {
            let Some(metric) = metrics.get(name) else {
                panic!("no crate describes {name}, in {expression}")
            };
            for label in labels {
                let known = ["job", "instance"].contains(&label) || metric.labels.contains(&label);
                assert!(known, "{name} has no label {label}, in {expression}");
            }
            seen.insert(metric.name);
        }
    }
    assert!(seen.contains("pyannote_inbox_events"), "{seen:?}");
}

#[test]
fn promtool_reads_the_expression_of_every_panel() {
    let Some(promtool) = find("promtool") else {
        return;
    };
    let rules: Vec<_> = panels()
        .iter()
        .map(|expression| {
            let expression = expression
                .replace("$__rate_interval", "1m")
                .replace("$job", ".*");
            serde_json::json!({ "record": "panel", "expr": expression })
        })
        .collect();
    let labelled = rules.into_iter().enumerate().map(|(number, mut rule)| {
        rule["labels"] = serde_json::json!({ "panel": number.to_string() });
        rule
    });
    let rules = serde_json::json!({ "groups": [{ "name": "panels", "rules": labelled.collect::<Vec<_>>() }] });
    let dir = dir();
    fs::write(dir.path().join("panels.yml"), rules.to_string()).unwrap();
    printed(&run(
        &promtool,
        &["check", "rules", "panels.yml"],
        dir.path(),
    ));
}

#[test]
fn panels_of_the_dashboard_have_ids_of_their_own_and_do_not_overlap() {
    let dashboard = dashboard();
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(cell.0 < 24 && cells.insert(cell), "{title}");
        }
    }
}

/// Returns the metrics that the receiver's crates describe, by each name that Prometheus stores.
fn described() -> BTreeMap<String, &'static Metric> {
    let all = [
        tower_pyannote::metrics::METRICS,
        tower_pyannote_archive::metrics::METRICS,
        tower_pyannote_forward::metrics::METRICS,
        tower_pyannote_inbox::metrics::METRICS,
        pyannoteai_client::metrics::METRICS,
    ];
    let names = all.into_iter().flatten().flat_map(|metric| {
        let endings: &[&str] = match metric.kind {
            MetricKind::Histogram => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        endings
            .iter()
            .map(move |ending| (format!("{}{ending}", metric.name), metric))
    });
    names.collect()
}

/// Returns each metric that a text names, with the labels that select its series.
fn series(text: &str) -> Vec<(&str, Vec<&str>)> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = text.match_indices("pyannote_").map(|(start, _)| start);
    let names = starts.map(|start| {
        let rest = &text[start..];
        let (name, rest) = rest.split_at(rest.find(|c| !word(c)).unwrap_or(rest.len()));
        let selector = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let matchers = selector.map_or("", |(matchers, _)| matchers).split(',');
        let labels = matchers.filter_map(|matcher| matcher.split_once(['=', '!']));
        (name, labels.map(|(label, _)| label.trim()).collect())
    });
    names.collect()
}

/// Returns the expressions of the dashboard's panels.
fn panels() -> Vec<String> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&text("grafana/dashboard.json")).unwrap()
}
