//! The command line, as it is typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::sandbox::SandboxArgs;
use crate::telemetry::{Color, LogFormat};

const ABOUT: &str = "Keeps the users of a Paradime workspace equal to a file in git.

Without a command it runs as a daemon: it reconciles now, then on schedule and whenever the
roster changes. `rosterd --sandbox` tries all of it on this machine, with no account anywhere.";

const EXIT_CODES: &str = "Exit codes: 0 done or in sync, 1 failed, 2 changes to make \
(--detailed-exitcode), 3 something is held, 64 wrong usage, 78 invalid configuration or roster";

/// The whole command line. `-h` and `--help` print the same: all of it, one line an option.
#[derive(Debug, Parser)]
#[command(name = "rosterd", version, about = ABOUT, long_about = None, after_help = EXIT_CODES)]
#[command(max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the daemon does instead of running on.
#[derive(Args, Debug, Default)]
pub struct RunArgs {
    /// Print what would be done, and change nothing
    #[arg(long, conflicts_with = "once")]
    pub plan: bool,
    /// Reconcile once and leave
    #[arg(long)]
    pub once: bool,
    /// Write the plan as text, diff, json, markdown (for a pull request) or github (annotations)
    #[arg(long, value_enum, value_name = "FORMAT", requires = "plan", hide_possible_values = true)]
    pub format: Option<PlanFormat>,
    /// Write the plan to a file; with `--format json` it can be applied later
    #[arg(long, value_name = "FILE", requires = "plan")]
    pub out: Option<PathBuf>,
    /// Leave with 2 if anything can be applied, else with 3 if something is held
    #[arg(long, requires = "plan")]
    pub detailed_exitcode: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Apply exactly the plan in a file; refused as stale if anything has moved
    Apply(ApplyArgs),
    /// Validate the configuration and the roster; no network
    Check(CheckArgs),
    /// Write the roster from the workspace as it is
    Import(ImportArgs),
    /// Tell one person's story: line, commit, live state, holds, what comes next
    Why(WhyArgs),
    /// Tell what was changed, when, why, and by which commit
    History(HistoryArgs),
    /// Review access: who has which role, since when, by which commit, until when
    Access(AccessArgs),
    /// Begin a new ledger, or check the one that is there
    Ledger(LedgerArgs),
    /// Ask the daemon on this machine whether it lives
    Health(HealthArgs),
    /// Serve the User Management API on this machine
    Sandbox(SandboxArgs),
    /// Print the schema of a file or of the API
    Schema(SchemaArgs),
    /// Print what completes the command line in a shell
    Completions(CompletionsArgs),
    /// Print the manual page
    Man(ManArgs),
}

/// Options of every command.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    #[doc = "The configuration [default: the first of $ROSTERD_CONFIG, ./rosterd.yaml, \
             ./config/rosterd.yaml, /etc/rosterd/rosterd.yaml]"]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The roster, in place of the one that the configuration names
    #[arg(short, long, global = true, value_name = "FILE")]
    pub users: Option<PathBuf>,
    /// Only this workspace; may be repeated
    #[arg(long, global = true, value_name = "NAME")]
    pub workspace: Vec<String>,
    /// Where the daemon shows itself, in place of `listen`
    #[arg(long, global = true, value_name = "ADDRESS", env = "ROSTERD_LISTEN", hide_env = true)]
    pub listen: Option<SocketAddr>,
    /// Start an embedded User Management API, seeded with example users, and work on that
    #[arg(long, global = true)]
    pub sandbox: bool,
    /// Keep the sandbox's state in this file, and its ledger beside it; without it everything is
    /// forgotten at the end
    #[arg(long, global = true, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Wait so long for another run of the same workspace
    #[arg(long, global = true, value_name = "TIME", default_value = "60s")]
    #[arg(value_parser = super::sandbox::duration)]
    pub lock_timeout: Option<std::time::Duration>,
    /// Write log lines, which go to stderr, as text or json
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub log_format: LogFormat,
    /// Colour: auto (on a terminal, unless `NO_COLOR` is set), always or never
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub color: Color,
    /// Say more (-vv: everything); `RUST_LOG` has the last word
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say only what is wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

#[derive(Args, Debug)]
pub struct ApplyArgs {
    /// Apply what its guards held as well, as far as an approval could release it
    #[arg(long)]
    pub include_held: bool,
    /// A plan written by `rosterd --plan --format json --out FILE`
    #[arg(value_name = "PLAN.json")]
    pub plan: PathBuf,
}

#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Write problems as text, json or github (annotations)
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub format: CheckFormat,
}

#[derive(Args, Debug)]
pub struct ImportArgs {
    /// Replace an existing roster without asking
    #[arg(long)]
    pub yes: bool,
}

#[derive(Args, Debug)]
pub struct WhyArgs {
    #[arg(value_name = "EMAIL")]
    pub email: String,
}

#[derive(Args, Debug)]
pub struct HistoryArgs {
    /// Only this person, and then also what readings showed
    #[arg(value_name = "EMAIL")]
    pub email: Option<String>,
    /// Write text, json or csv
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub format: TableFormat,
    /// Only what happened since: 7d, 2026-11-01 or 2026-11-01T08:00:00Z
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
}

#[derive(Args, Debug)]
pub struct AccessArgs {
    /// Write text, csv or json
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub format: TableFormat,
    /// Mark what ends within so many days
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub expiring: u16,
}

#[derive(Args, Debug)]
pub struct HealthArgs {
    /// Ask whether it has a roster for every workspace
    #[arg(long)]
    pub ready: bool,
}

#[derive(Args, Debug)]
pub struct CompletionsArgs {
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[derive(Args, Debug)]
pub struct ManArgs {
    /// Write the pages of all commands into this folder
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct LedgerArgs {
    #[command(subcommand)]
    pub command: LedgerCommand,
}

#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Begin a new ledger; one that is there is left alone
    Init,
    /// Check every row, and that none was edited, removed or moved
    Verify {
        /// A head that an earlier check or a log line showed: finds rows cut off at the end as well
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// For spreadsheets
    Csv,
}

#[derive(Args, Debug)]
pub struct SchemaArgs {
    /// users, config or graphql
    #[arg(value_enum, hide_possible_values = true)]
    pub which: SchemaName,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people
    #[default]
    Text,
    /// A unified diff from the workspace to the roster
    Diff,
    /// For programs, and for `rosterd apply`
    Json,
    /// For a comment on a pull request
    Markdown,
    /// Annotations of a GitHub workflow
    Github,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// Annotations of a GitHub workflow
    Github,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaName {
    /// JSON Schema of the roster
    Users,
    /// JSON Schema of the configuration
    Config,
    /// GraphQL schema of the API, as the sandbox serves it
    Graphql,
    /// `OpenAPI` document of what the daemon shows
    Openapi,
}
