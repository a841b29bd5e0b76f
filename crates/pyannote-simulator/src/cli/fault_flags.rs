use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};

use crate::{Fault, Faults, Odds};

/// A flag for each fault, which sets its odds.
pub(super) struct FaultFlags(pub(super) Faults);

impl Args for FaultFlags {
    fn augment_args(command: Command) -> Command {
        let flags = Fault::ALL.iter().map(|(fault, description)| {
            Arg::new(fault.name())
                .long(fault.name())
                .help(description.trim().trim_end_matches('.'))
                .help_heading(HEADING)
                .value_name("N|P%")
                .value_parser(value_parser!(Odds))
                .default_value("0")
                .hide_default_value(true)
        });
        command.args(flags)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for FaultFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut flags = Self(Faults::default());
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        let mut faults = Faults::default();
        for (fault, _) in Fault::ALL {
            if let Some(odds) = matches.get_one::<Odds>(fault.name()) {
                faults = faults.with(*fault, *odds);
            }
        }
        self.0 = faults;
        Ok(())
    }
}

const HEADING: &str =
    "Faults, for the first N jobs or requests, or for P% of them at random [default: 0]";
