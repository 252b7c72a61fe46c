//! `rosterd history`: what was changed, when, why, and by which commit.

use jiff::civil::{Date, Time};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::args::{HistoryArgs, TableFormat};
use super::{CliError, Global, context, exit, output};
use crate::clock::{Clock as _, SystemClock};
use crate::config::values;
use crate::email::Email;
use crate::ledger::Ledger;
use crate::memory::entry::Record;
use crate::memory::events::{events, of_workspace as entries_of};
use crate::memory::scope::Scope;
use crate::render::{history, json, table};

/// Reads only the ledger: no network and no secret.
pub fn run(global: &Global, args: &HistoryArgs) -> Result<u8, CliError> {
    let email = args.email.as_deref().map(Email::remote);
    let config = context::read_files(global)??.config;
    let mut rows = Vec::new();
    for workspace in &config.workspaces {
        let (name, zone) = (&workspace.target.workspace, &workspace.target.zone);
        let since = args.since.as_deref().map(|text| since(text, zone)).transpose()?;
        let entries = entries(&context::ledger(global, workspace)?, &workspace.scope())?;
        let events = events(&entries, email.as_ref().map(std::slice::from_ref));
        rows.extend(history::rows(name, &events).into_iter().filter(|row| {
            since.is_none_or(|since| row.at.parse::<Timestamp>().is_ok_and(|at| at >= since))
        }));
        if args.format == TableFormat::Text {
            let text = history::as_text(&rows, zone, output::screen(global, false));
            let is_one = config.workspaces.len() == 1;
            output::result(&if is_one { text } else { format!("{name}\n\n{text}\n") })?;
            rows.clear();
        }
    }
    match args.format {
        TableFormat::Text => {}
        TableFormat::Json => output::result(&json::pretty(&rows))?,
        TableFormat::Csv => output::result(&table::csv(history::HEADER, &rows))?,
    }
    Ok(exit::OK)
}

/// The entries of a workspace, whatever its API key or endpoint was.
pub fn entries(ledger: &Ledger, scope: &Scope) -> Result<Vec<Record>, CliError> {
    let all = ledger
        .entries()
        .map_err(|error| CliError::Failed(format!("{}: {error}", ledger.place())))?;
    Ok(entries_of(all, scope))
}

/// `7d`, `2026-11-01` (the start of that day) or `2026-11-01T08:00:00Z`.
fn since(text: &str, zone: &TimeZone) -> Result<Timestamp, CliError> {
    if let Some(age) = values::duration(text) {
        let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
        return Ok(SystemClock.now().saturating_sub(age).unwrap_or(Timestamp::MIN));
    }
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let day = text.parse::<Date>().ok();
    let start = day.and_then(|day| zone.to_timestamp(day.to_datetime(Time::midnight())).ok());
    start.ok_or_else(|| {
        CliError::Usage(format!("--since {text}: write 7d, 2026-11-01 or 2026-11-01T08:00:00Z"))
    })
}
