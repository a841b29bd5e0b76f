//! Holds the instructions that `cargo bench --bench instructions -- --output-format=json` counted against a baseline.
//!
//! Compilers change how many instructions the same code takes, so what is held is a ratio to the limit that was counted in
//! the same run. Callgrind knows no SHA instructions, and in software the hash drowns all else: of `verify` the ratio is of
//! what comes on top of the limit, and of `layer` it is without the hash.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::process::ExitCode;
use std::{env, fs};

use serde_json::Value;

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let path = arguments.next().expect("the baseline's path is given");
    let writes = arguments.next().as_deref() == Some("--write");
    let counted = ratios(&instructions());
    if writes {
        let baseline = serde_json::to_string_pretty(&counted).expect("it is JSON");
        fs::write(&path, baseline + "\n").expect("the baseline can be written");
        return ExitCode::SUCCESS;
    }
    let baseline = fs::read_to_string(&path).expect("the baseline can be read");
    let baseline: BTreeMap<String, f64> =
        serde_json::from_str(&baseline).expect("it is names and ratios");

    let mut failed = baseline.keys().ne(counted.keys());
    if failed {
        println!("the baseline does not name what was counted: write it anew");
    }
    println!(
        "{:<28} {:>8} {:>8} {:>7}",
        "", "baseline", "counted", "change"
    );
    for (name, &ratio) in &counted {
        let Some(&before) = baseline.get(name) else {
            continue;
        };
        let change = ratio / before - 1.0;
        let judged = match change.abs() >= TOLERANCE {
            false => "",
            true if change < 0.0 => "better: write the baseline anew",
            true => {
                failed = true;
                "REGRESSION"
            }
        };
        println!(
            "{name:<28} {before:>8.4} {ratio:>8.4} {:>+6.1}% {judged}",
            100.0 * change
        );
    }
    ExitCode::from(u8::from(failed))
}

/// The instructions of each benchmark, by group and case and by whether they are ours.
fn instructions() -> BTreeMap<(String, String), f64> {
    let mut counts = BTreeMap::new();
    for line in io::stdin().lock().lines() {
        let line = line.expect("the input can be read");
        let Ok(summary) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        let text = |name| summary[name].as_str().unwrap_or_default().to_owned();
        let (function, case) = (text("function_name"), text("id"));
        let (group, side) = function.split_once('_').expect("its name says whose it is");
        let count = find(&summary, "Ir").expect("callgrind counts instructions");
        counts.insert((format!("{group} {case}"), side.to_owned()), count);
    }
    counts
}

fn ratios(counts: &BTreeMap<(String, String), f64>) -> BTreeMap<String, f64> {
    let mut ratios = BTreeMap::new();
    for ((name, side), ours) in counts {
        if side != "ours" {
            continue;
        }
        let limit = counts[&(name.clone(), "limit".to_owned())];
        let ratio = match name.split_once(' ') {
            Some(("verify", _)) => ours / limit - 1.0,
            Some(("layer", case)) => {
                let hash = counts[&(format!("verify {case}"), "limit".to_owned())];
                (ours - hash) / (limit - hash)
            }
            _ => ours / limit,
        };
        println!("{name:<28} {ours:>12} instructions, limit {limit:>12}");
        ratios.insert(name.clone(), (ratio * 1e5).round() / 1e5);
    }
    ratios
}

/// The first number under a key, at any depth.
fn find(value: &Value, key: &str) -> Option<f64> {
    match value {
        Value::Object(fields) => {
            let own = fields.get(key).and_then(first_number);
            own.or_else(|| fields.values().find_map(|value| find(value, key)))
        }
        Value::Array(items) => items.iter().find_map(|value| find(value, key)),
        _ => None,
    }
}

fn first_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Object(fields) => fields.values().find_map(first_number),
        Value::Array(items) => items.iter().find_map(first_number),
        _ => None,
    }
}

/// Of the ratio: what a new compiler, an allocator or another processor's way to copy memory may change of both sides
/// unequally.
const TOLERANCE: f64 = 0.10;
