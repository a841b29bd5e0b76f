//! Python and Node with packages, and Go, for programs that tests run.
//!
//! Where a program is missing, its test prints a line and is skipped, except in CI, where the test fails.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

/// Returns the Python of a virtual environment in `directory` with the packages of a `requirements.txt`.
///
/// Creates the environment if it is missing or has other packages.
pub fn python(directory: &Path, requirements: &Path) -> Option<PathBuf> {
    let python = directory.join("bin/python");
    let install = || {
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(directory))?;
        let pip = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ];
        run(Command::new(&python).args(pip).arg(requirements))
    };
    once(
        directory,
        &fs::read_to_string(requirements).unwrap(),
        install,
    )
    .then_some(python)
}

/// Returns the path of `node`, with one package of npm installed in `directory`, such as `name@1.2.3`.
pub fn node(directory: &Path, package: &str) -> Option<PathBuf> {
    let install = || {
        run(Command::new("node").arg("--version"))?;
        fs::create_dir_all(directory).unwrap();
        let npm = [
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefix",
        ];
        run(Command::new("npm").args(npm).arg(directory).arg(package))
    };
    once(directory, package, install).then(|| "node".into())
}

/// Compiles a Go program of one file in `directory`, and returns the path of the program.
///
/// Returns `None` if the test is to be skipped.
pub fn go(directory: &Path, code: &str) -> Option<PathBuf> {
    let program = directory.join("program");
    let compile = || {
        run(Command::new("go").arg("version"))?;
        fs::create_dir_all(directory).unwrap();
        let source = directory.join("main.go");
        fs::write(&source, code).unwrap();
        let mut build = Command::new("go");
        build.args(["build", "-o"]).arg(&program).arg(&source);
        // The program uses only the standard library, so Go downloads nothing.
        build.env("GO111MODULE", "off");
        build.env("GOCACHE", directory.join("cache"));
        run(&mut build)
    };
    once(directory, code, compile).then_some(program)
}

/// Installs packages unless they are there. Returns false if the test is to be skipped.
fn once(directory: &Path, packages: &str, install: impl FnOnce() -> Result<(), String>) -> bool {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let installed = directory.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|text| text == packages) {
        return true;
    }
    match install() {
        Ok(()) => {
            fs::write(installed, packages).unwrap();
            true
        }
        Err(why) => {
            assert!(env::var_os("CI").is_none(), "CI needs the program: {why}");
            println!("skipped: {why}");
            false
        }
    }
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
