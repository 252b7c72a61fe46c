//! `rosterd completions`, generated from the command line's definitions.

use clap::CommandFactory as _;

use super::args::{Cli, CompletionsArgs};
use super::{CliError, exit, output};

pub fn completions(args: &CompletionsArgs) -> Result<u8, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "rosterd", &mut script);
    output::result(&String::from_utf8_lossy(&script))?;
    Ok(exit::OK)
}
