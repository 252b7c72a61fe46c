//! The commands, one file each. Results go to stdout and everything else to stderr; the exit code
//! says how the command ended.

mod accept;
mod access;
mod apply;
mod approve;
mod args;
mod check;
mod completions;
mod context;
mod daemon;
mod doctor;
mod exit;
mod global;
mod health;
mod history;
mod import;
mod ledger;
mod man;
mod once;
mod output;
mod plan;
mod progress;
pub mod sandbox;
mod schema;
mod shutdown;
mod status;
mod why;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use args::{Cli, Command, PlanArgs};
use context::Context;
use exit::CliError;
use global::Global;

use crate::telemetry;

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results; anything else is wrong usage.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(exit::USAGE),
            };
        }
    };
    output::choose_color(cli.global.color);
    let global = cli.global.clone();
    let verbosity = i8::try_from(cli.global.verbose).unwrap_or(i8::MAX);
    let verbosity = if cli.global.quiet { -1 } else { verbosity };
    let ended = runtime().and_then(|runtime| {
        let entered = runtime.enter();
        let telemetry = telemetry::init(cli.global.log_format, verbosity, cli.global.color);
        drop(entered);
        let ended = runtime.block_on(run(cli));
        telemetry.finish();
        // A read that hangs on a dead mount must not keep the process alive.
        runtime.shutdown_background();
        ended
    });
    ExitCode::from(output::exit_code(&global, ended))
}

async fn run(cli: Cli) -> Result<u8, CliError> {
    let Cli { global, run, command } = cli;
    let global = global.or_environment()?;
    if command.is_some() && (run.plan || run.once) {
        let flag = if run.plan { "--plan" } else { "--once" };
        return Err(CliError::Usage(format!("{flag} cannot be combined with a command")));
    }
    let of_once = PlanArgs { all: run.once && run.options.all, ..PlanArgs::default() };
    if !run.plan && run.options != of_once {
        let message = "--format, --out, --ref, --detailed-exitcode and --all are of `rosterd plan`";
        return Err(CliError::Usage(message.into()));
    }
    match command {
        None if run.plan => plan::run(&global, &run.options).await,
        None if run.once => {
            let code = once::run(&global, output::screen(&global, of_once.all)).await?;
            Ok(if run.tolerate_held && code == exit::HELD { exit::OK } else { code })
        }
        None => daemon::run(&global).await,
        Some(Command::Plan(args)) => plan::run(&global, &args).await,
        Some(Command::Status(args)) => status::run(&global, &args).await,
        Some(Command::Doctor(args)) => doctor::run(&global, &args).await,
        Some(Command::Apply(args)) => apply::run(&global, &args).await,
        Some(Command::Approve(args)) => approve::run(&global, &args).await,
        Some(Command::Check(args)) => check::run(&global, &args),
        Some(Command::Import(args)) => import::run(&global, &args).await,
        Some(Command::Why(args)) => why::run(&global, &args).await,
        Some(Command::History(args)) => history::run(&global, &args),
        Some(Command::Accept(args)) => accept::run(&global, &args).await,
        Some(Command::Access(args)) => access::run(&global, &args).await,
        Some(Command::Ledger(args)) => ledger::run(&global, &args),
        Some(Command::Sandbox(args)) => sandbox::run(&global, args).await,
        Some(Command::Schema(args)) => schema::run(&args),
        Some(Command::Health(args)) => health::run(&global, &args).await,
        Some(Command::Completions(args)) => completions::completions(&args),
        Some(Command::Man(args)) => man::man(&args),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Failed(format!("the runtime: {error}")))
}
