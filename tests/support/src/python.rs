//! Virtual environments of Python.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

/// Returns the Python of a virtual environment with pinned packages. Creates it if it is missing or has others.
///
/// `directory` outlives the test: `CARGO_TARGET_TMPDIR`.
///
/// # Errors
///
/// Returns what Python or pip printed, or why they cannot run.
pub fn with_packages(directory: &Path, name: &str, requirements: &str) -> Result<PathBuf, String> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let venv = directory.join(name);
    let python = venv.join("bin/python");
    let installed = venv.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|text| text == requirements) {
        return Ok(python);
    }
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&venv))?;
    let wanted = venv.join("requirements.txt");
    fs::write(&wanted, requirements).map_err(|error| error.to_string())?;
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
    ];
    run(Command::new(&python).args(pip).arg(&wanted))?;
    fs::write(installed, requirements).map_err(|error| error.to_string())?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let printed = [output.stdout, output.stderr].concat();
    Err(format!(
        "{command:?}: {}",
        String::from_utf8_lossy(&printed)
    ))
}
