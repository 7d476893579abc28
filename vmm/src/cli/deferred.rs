//! Arguments that are defined when their command is asked for.
#![forbid(unsafe_code)]

use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

/// The arguments of a command with much to define. Without this, every `run` would first make the definitions of all
/// commands, and its heap would keep the holes that they leave.
#[derive(Debug)]
pub(super) struct Deferred<T>(pub(super) T);

impl<T: Args> Args for Deferred<T> {
    fn augment_args(command: Command) -> Command {
        command.defer(|command| described_as_before(command, T::augment_args))
    }

    fn augment_args_for_update(command: Command) -> Command {
        command.defer(|command| described_as_before(command, T::augment_args_for_update))
    }
}

/// The definition of the arguments comes with their own description, and now comes last.
fn described_as_before(command: Command, define: fn(Command) -> Command) -> Command {
    let (about, long_about) = (command.get_about().cloned(), command.get_long_about().cloned());
    let mut command = define(command);
    if let Some(about) = about {
        command = command.about(about);
    }
    if let Some(long_about) = long_about {
        command = command.long_about(long_about);
    }
    command
}

impl<T: FromArgMatches> FromArgMatches for Deferred<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use crate::cli::Cli;

    #[test]
    fn a_command_describes_itself_as_the_list_of_commands_does() {
        let descriptions = |command: &clap::Command| -> Vec<_> {
            let commands = command.get_subcommands();
            commands.map(|command| (command.get_name().to_owned(), command.get_about().cloned())).collect()
        };
        let mut command = Cli::command();
        let listed = descriptions(&command);
        assert!(command.find_subcommand("policy").is_some_and(|policy| !policy.has_subcommands()), "not yet");
        command.build();
        assert!(command.find_subcommand("policy").is_some_and(clap::Command::has_subcommands));
        assert!(listed.iter().all(|(_, about)| about.is_some()));
        assert_eq!(descriptions(&command)[..listed.len()], listed);
    }
}
