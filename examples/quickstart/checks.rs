use std::{fmt, process::ExitCode};

/// The expectations, and whether each was met.
#[derive(Default)]
pub(crate) struct Checks {
    failures: usize,
}

impl Checks {
    pub(crate) fn answer(&mut self, what: &str, status: u16, expected: u16) {
        let verdict = match status {
            200 => "accepted",
            401 => "refused",
            _ => "failed",
        };
        let mark = self.mark(status == expected);
        println!("  {mark} {status} {verdict:<8}  {what}");
    }

    pub(crate) fn count<N>(&mut self, what: &str, found: N, expected: N)
    where
        N: PartialEq + fmt::Display,
    {
        let mark = self.mark(found == expected);
        println!("  {mark} {what}: {found}, to be {expected}");
    }

    pub(crate) fn conclude(&self) -> ExitCode {
        match self.failures {
            0 => println!("Nothing is lost, and nothing was handled twice."),
            failures => println!("Not as it should be: {failures}, marked WRONG above."),
        }
        ExitCode::from(u8::from(self.failures > 0))
    }

    fn mark(&mut self, right: bool) -> &'static str {
        if right {
            return "ok   ";
        }
        self.failures += 1;
        "WRONG"
    }
}
