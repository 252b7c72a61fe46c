//! `rosterd man`: the manual pages. Options come from the command line's definitions.

use std::io;
use std::path::Path;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::args::{Cli, EXAMPLES, ManArgs};
use super::{CliError, exit, output};
use crate::files::{self, Mode};

/// What each environment variable does.
const ENVIRONMENT: [(&str, &str); 18] = [
    ("ROSTERD_CONFIG", "The configuration, if --config is not given."),
    ("ROSTERD_USERS", "The roster, if --users is not given: a file, or URL#REF:PATH."),
    ("ROSTERD_LISTEN", "Where the daemon listens, if --listen is not given."),
    ("ROSTERD_WEB_TOKEN", "The token of the web UI, if the configuration has no `web`."),
    ("ROSTERD_WEB_ANONYMOUS", "`true`: the web UI can be read without a token."),
    ("ROSTERD_HOOKS_LISTEN", "Where webhooks arrive, if the configuration has no `hooks`."),
    ("ROSTERD_REVISION", "The commit of the roster, where it is in no git work tree."),
    ("ROSTERD_REVISION_FILE", "A file with the commit, its author and its subject."),
    ("ROSTERD_GIT_TOKEN", "The token of the git server of ROSTERD_USERS."),
    ("ROSTERD_GIT_USERNAME", "The user of the git server."),
    ("ROSTERD_GIT_CA_FILE", "Certificate authorities of the git server."),
    ("ROSTERD_WEBHOOK_SECRET", "The secret of the webhooks of the git server."),
    ("PARADIME_API_ENDPOINT", "The address of the API, if there is no configuration."),
    ("PARADIME_API_KEY", "The API key, if there is no configuration."),
    ("PARADIME_API_SECRET", "The API secret or a token, if there is no configuration."),
    ("PARADIME_WORKSPACE_UID", "The workspace of a company token."),
    ("RUST_LOG", "Which log lines are written; overrides -v and -q."),
    ("NO_COLOR", "No colour, unless --color always is given."),
];

const IN_FILES: &str = "Each secret can be in a file too: the variable with _FILE after its \
    name, such as PARADIME_API_SECRET_FILE, has the path.";

const FILES: [(&str, &str); 3] = [
    ("./rosterd.yaml, ./config/rosterd.yaml, /etc/rosterd/rosterd.yaml", "The configuration."),
    ("users.yaml", "The roster, as `users` in the configuration or --users names it."),
    ("/var/lib/rosterd/ledger.db", "The ledger of a service, as `store` names it."),
];

const EXIT_STATUS: [(&str, &str); 6] = [
    ("0", "Done, or in sync."),
    ("1", "Something failed."),
    ("2", "With --detailed-exitcode: there are changes to make."),
    ("3", "Something is held, and nothing failed."),
    ("64", "Wrong usage."),
    ("78", "The configuration or the roster is invalid."),
];

/// Writes the page of `rosterd`, or the pages of all commands into a folder.
pub fn man(args: &ManArgs) -> Result<u8, CliError> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    if let Some(folder) = &args.out {
        let failed = |error| CliError::Failed(format!("{}: {error}", folder.display()));
        write_pages(&root, folder).map_err(failed)?;
        return Ok(exit::OK);
    }
    let page = page(&root).map_err(|error| CliError::Failed(format!("the page: {error}")))?;
    output::result(&String::from_utf8_lossy(&page))?;
    Ok(exit::OK)
}

fn write_pages(command: &Command, folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let name = Man::new(command.clone()).get_filename();
    files::replace(&folder.join(name), &page(command)?, Mode::Public)?;
    command.get_subcommands().try_for_each(|command| write_pages(command, folder))
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut roff = Roff::new();
    section(&mut roff, "EXIT STATUS", &EXIT_STATUS);
    if command.get_name() == "rosterd" {
        section(&mut roff, "ENVIRONMENT", &ENVIRONMENT);
        roff.control("PP", []);
        roff.text([roman(IN_FILES)]);
        section(&mut roff, "FILES", &FILES);
        section(&mut roff, "EXAMPLES", &EXAMPLES);
    }
    roff.to_writer(&mut page)?;
    Ok(page)
}

fn section(roff: &mut Roff, title: &str, terms: &[(&str, &str)]) {
    roff.control("SH", [title]);
    for (term, text) in terms {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*text)]);
    }
}
