//! `rosterd status`: the workspaces of the daemon on this machine, as it sees them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::args::{StatusArgs, StatusFormat};
use super::{CliError, Global, context, exit, health, output};
use crate::order::natural_key;
use crate::render::table::{self, Line, Screen};
use crate::render::time;
use crate::source::env_var;
use crate::web::health_client;

const HEADER: [&str; 7] = ["WORKSPACE", "STATE", "SINCE", "HELD", "LAST RUN", "NEXT RUN", "ERROR"];
/// States that need attention.
const BAD: [&str; 2] = ["failing", "stale"];

/// Asks the daemon; neither the API nor the ledger. Exits with 1 if anything fails.
pub async fn run(global: &Global, args: &StatusArgs) -> Result<u8, CliError> {
    let config = context::read_files(global)?.ok().map(|loaded| loaded.config);
    let token = config.and_then(|config| config.web.token?.resolve(&env_var).ok());
    let address = health::address(global)?;
    let asked = health_client::get(address, "/api/v1/workspaces", token.as_ref()).await;
    let (status, said) = asked.map_err(health::not_running)?;
    let overview: Option<Value> = serde_json::from_str(&said).ok();
    let overview = overview.filter(|_| status == 200).ok_or_else(|| {
        let why = output::escape_lines(said.trim_end(), "; ");
        CliError::Failed(format!("the daemon answered {status}: {why}"))
    })?;
    let workspaces = overview["workspaces"].as_array().map_or(&[][..], Vec::as_slice);
    let is_bad = |it: &Value| {
        it["ready"] == false || it["state"].as_str().is_some_and(|state| BAD.contains(&state))
    };
    output::result(&match args.format {
        StatusFormat::Json => said.clone() + "\n",
        StatusFormat::Text => as_text(workspaces, output::screen(global, false)),
    })?;
    let failing = workspaces.iter().any(is_bad) || !overview["config_problems"].is_null();
    Ok(if failing { exit::FAILED } else { exit::OK })
}

fn as_text(workspaces: &[Value], screen: Screen) -> String {
    let lines = workspaces.iter().map(|it| {
        let zone = TimeZone::get(&word(&it["zone"])).unwrap_or(TimeZone::UTC);
        let instant = |value: &Value| instant(value, &zone);
        let (last, next) = (&it["last_run"], &it["next_run"]);
        let held = it["plan"]["held"].as_u64().map_or("-".to_owned(), |held| held.to_string());
        let cells = [
            word(&it["name"]),
            word(&it["state"]).replace('_', " "),
            instant(&it["since"]),
            held,
            instant(&last["finished"]) + " " + &word(&last["status"]),
            instant(&next["at"]),
        ];
        Line::new(&cells, last["failure"].as_str().map(str::to_owned).as_slice())
    });
    let mut lines: Vec<Line> = lines.collect();
    lines.sort_by_cached_key(|line| natural_key(&line.cells[0]));
    table::table(&HEADER, lines, screen)
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn instant(value: &Value, zone: &TimeZone) -> String {
    let instant = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    instant.map_or("-".to_owned(), |at| time::at(at, zone))
}
