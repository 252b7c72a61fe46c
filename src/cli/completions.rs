//! `rosterd completions` and `rosterd man`, generated from the command line's definitions.

use std::io;
use std::path::Path;

use clap::CommandFactory as _;

use super::args::{Cli, CompletionsArgs, ManArgs};
use super::{CliError, exit, output};
use crate::files::{self, Mode};

pub fn completions(args: &CompletionsArgs) -> Result<u8, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "rosterd", &mut script);
    output::result(&String::from_utf8_lossy(&script))?;
    Ok(exit::OK)
}

/// Writes the page of `rosterd`, or the pages of all commands into a folder.
pub fn man(args: &ManArgs) -> Result<u8, CliError> {
    if let Some(folder) = &args.out {
        let failed = |error| CliError::Failed(format!("{}: {error}", folder.display()));
        write_pages(folder).map_err(failed)?;
        return Ok(exit::OK);
    }
    let mut page = Vec::new();
    let written = clap_mangen::Man::new(Cli::command()).render(&mut page);
    written.map_err(|error| CliError::Failed(format!("the page: {error}")))?;
    output::result(&String::from_utf8_lossy(&page))?;
    Ok(exit::OK)
}

fn write_pages(folder: &Path) -> io::Result<()> {
    let written = tempfile::tempdir()?;
    clap_mangen::generate_to(Cli::command(), &written)?;
    std::fs::create_dir_all(folder)?;
    for page in std::fs::read_dir(&written)? {
        let page = page?;
        files::replace(&folder.join(page.file_name()), &std::fs::read(page.path())?, Mode::Public)?;
    }
    Ok(())
}
