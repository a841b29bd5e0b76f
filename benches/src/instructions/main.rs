//! Compares the instructions that `cargo bench --bench instructions -- --output-format=json` counted with a baseline.
//!
//! The number of instructions of the same code depends on the compiler, so the baseline has ratios to a limit that was
//! counted in the same run. Callgrind does not support SHA instructions, and a hash in software outweighs all other work. So
//! the ratio of `verify` counts only the instructions above the limit, and the ratio of `layer` excludes the hash.

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
        println!("the baseline lists other benchmarks: rewrite it with --write");
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
            true if change < 0.0 => "better: rewrite the baseline",
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

/// Returns the instructions of each benchmark by group, case and side: `ours` or `limit`.
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

/// Returns the first number under a key, at any depth.
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

/// The tolerance of a ratio: a new compiler, an allocator or another CPU's memcpy may change the two sides unequally.
const TOLERANCE: f64 = 0.10;
