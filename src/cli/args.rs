//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::global::{Global, duration};
use super::sandbox::SandboxArgs;
use crate::memory::entry::Acceptable;

const ABOUT: &str = "Keeps the users of a Paradime workspace equal to a file in git.

Without a command it runs as a daemon: it reconciles now, then on schedule and whenever the
roster changes. `rosterd --sandbox` tries everything on this machine, without an account.";

const EXIT_CODES: &str = "Exit codes: 0 done or in sync, 1 failed, 2 changes to make \
(--detailed-exitcode), 3 something is held, 64 wrong usage, 78 invalid configuration or roster";

/// Commands, and what each shows or does.
pub const EXAMPLES: [(&str, &str); 5] = [
    ("rosterd import -u users.yaml", "Write the roster from the workspace"),
    ("rosterd plan -u users.yaml", "What differs"),
    ("rosterd apply -u users.yaml", "Show it, ask, and apply it"),
    ("rosterd -c rosterd.yaml", "Run as a daemon"),
    ("rosterd why alice@acme.io", "Who gave her access, when and why"),
];

/// What follows the options of `--help`.
fn after_help() -> String {
    let lines = EXAMPLES.map(|(command, text)| format!("  {command:36}  {text}\n"));
    format!("Examples:\n{}\n{EXIT_CODES}", lines.concat())
}

/// Options that only `plan` and `--plan` have.
fn is_of_plan(id: &str) -> bool {
    ["format", "out", "reference", "detailed_exitcode", "all"].contains(&id)
}

/// The whole command line: one line for each option.
#[derive(Debug, Parser)]
#[command(name = "rosterd", version, about = ABOUT, long_about = None, after_help = EXIT_CODES)]
#[command(after_long_help = after_help(), max_term_width = 100)]
// `rosterd plan --help` shows the options of a plan.
#[command(mut_args(|arg| if is_of_plan(arg.get_id().as_str()) { arg.hide(true) } else { arg }))]
pub struct Cli {
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do instead of running as a daemon.
#[derive(Args, Debug, Default)]
pub struct RunArgs {
    /// The same as the command `plan`
    #[arg(long, conflicts_with = "once")]
    pub plan: bool,
    /// Reconcile once and exit
    #[arg(long)]
    pub once: bool,
    /// With --once: exit with 0 instead of 3 if something is held and nothing failed
    #[arg(long, requires = "once", hide_short_help = true)]
    pub tolerate_held: bool,
    #[command(flatten)]
    pub options: PlanArgs,
}

#[derive(Args, Debug, Default, PartialEq, Eq)]
pub struct PlanArgs {
    /// Write the plan as text, diff, json, markdown (for a pull request) or github (annotations)
    #[arg(short = 'o', long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    pub format: Option<PlanFormat>,
    /// Save the plan in a file, as its ending says; JSON can be applied later
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Plan another branch, tag or refs/… of the git server, such as a pull request
    #[arg(long = "ref", value_name = "REF")]
    pub reference: Option<String>,
    /// Exit with 2 if anything can be applied, else with 3 if something is held
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Show every row of long lists
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print what would be done, and change nothing
    Plan(PlanArgs),
    /// Plan, ask and apply; or apply exactly the plan in a file
    Apply(ApplyArgs),
    /// Show the workspaces of the daemon on this machine
    Status(StatusArgs),
    /// Check what a run needs: roster, key, clock, ledger, file watching
    Doctor(DoctorArgs),
    /// Write the approval of what is held into the roster, and show the difference
    Approve(ApproveArgs),
    /// Validate the configuration and the roster; no network
    Check(CheckArgs),
    /// Write the roster from the workspace as it is
    Import(ImportArgs),
    /// Explain one user's access: line, commit, live state, holds, what comes next
    Why(WhyArgs),
    /// Show what was changed, when, why, and by which commit
    History(HistoryArgs),
    /// Review access: who has which role, since when, by which commit, until when
    Access(AccessArgs),
    /// Accept what waits for an operator: a listing, a place, a clock, a history
    Accept(AcceptArgs),
    /// Start a new ledger, verify it, back it up or restore it
    Ledger(LedgerArgs),
    /// Check whether the daemon on this machine is alive
    Health(HealthArgs),
    /// Serve the User Management API on this machine
    Sandbox(SandboxArgs),
    /// Print the schema of a file or of the API
    Schema(SchemaArgs),
    /// Print the completion script of a shell
    Completions(CompletionsArgs),
    /// Print the manual page
    Man(ManArgs),
}

#[derive(Args, Debug)]
pub struct ApplyArgs {
    /// Also apply what guards hold, if an approval could release it
    #[arg(long, requires = "reason")]
    pub include_held: bool,
    /// Why it is included; it is kept in the ledger
    #[arg(long, value_name = "TEXT", requires = "include_held")]
    pub reason: Option<String>,
    /// Apply without asking
    #[arg(long)]
    pub yes: bool,
    /// Show every row of long lists
    #[arg(long)]
    pub all: bool,
    /// A plan saved by `rosterd plan --out PLAN.json`; refused as stale if anything has changed
    #[arg(value_name = "PLAN.json")]
    pub plan: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Send a test notification to each receiver
    #[arg(long)]
    pub notify: bool,
}

#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Write text or json
    #[arg(short = 'o', long, value_enum, value_name = "FORMAT", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub format: StatusFormat,
}

#[derive(Args, Debug)]
pub struct ApproveArgs {
    /// Approve what is held for these people
    #[arg(value_name = "EMAIL", conflicts_with = "all")]
    pub emails: Vec<String>,
    /// Why; it is written into the roster. Required
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Approve everything that an approval can release
    #[arg(long)]
    pub all: bool,
}

#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Write problems as text, json or github (annotations)
    #[arg(short = 'o', long, value_enum, value_name = "FORMAT", default_value = "text")]
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
    /// Write text or json
    #[arg(short = 'o', long, value_enum, value_name = "FORMAT", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub format: StatusFormat,
}

#[derive(Args, Debug)]
pub struct HistoryArgs {
    /// Only this person, with what listings showed
    #[arg(value_name = "EMAIL")]
    pub email: Option<String>,
    /// Write text, json or csv
    #[arg(short = 'o', long, value_enum, value_name = "FORMAT", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub format: TableFormat,
    /// Only what happened since: 7d, 2026-11-01 or 2026-11-01T08:00:00Z
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
}

#[derive(Args, Debug)]
pub struct AccessArgs {
    /// Write text, csv or json
    #[arg(short = 'o', long, value_enum, value_name = "FORMAT", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub format: TableFormat,
    /// Mark access that ends within this number of days
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub expiring: u16,
}

#[derive(Args, Debug)]
pub struct AcceptArgs {
    /// listing, place, clock or history
    #[arg(value_enum, hide_possible_values = true)]
    pub what: Acceptable,
    /// Why; it is kept in the ledger
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// What the hold printed; needed without a terminal
    #[arg(long, value_name = "DIGEST")]
    pub digest: Option<String>,
}

#[derive(Args, Debug)]
pub struct HealthArgs {
    /// Check whether it has a roster for every workspace
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
    /// Start a new ledger; an existing one is not touched
    Init,
    /// Verify every row, and that none was edited, removed or moved
    Verify {
        /// A head from an earlier verification or a log line; finds rows removed from the end
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
        /// The shortest `retention` of the last months, if it is longer now, such as 30d
        #[arg(long, value_name = "TIME", value_parser = duration)]
        retention: Option<Duration>,
    },
    /// Copy it into a new file, also while the daemon runs; the copy is verified
    Backup {
        /// The new file; `-` is standard output
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Replace it by a backup; the old one is kept beside it. Then restart the daemon
    Restore {
        /// The backup; `-` is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
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
pub enum StatusFormat {
    /// For people
    Text,
    /// For programs
    Json,
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
    /// `OpenAPI` document of the daemon's API
    Openapi,
}
