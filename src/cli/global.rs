//! The options of every command.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::CliError;
use crate::config::values;
use crate::source::env_var;
use crate::telemetry::{Color, LogFormat};

/// Variables that are used if the option is not given and they are not empty.
const USERS: &str = "ROSTERD_USERS";
pub const LISTEN: &str = "ROSTERD_LISTEN";

/// Options of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    #[doc = "The configuration [default: the first of $ROSTERD_CONFIG, ./rosterd.yaml, \
             ./config/rosterd.yaml, /etc/rosterd/rosterd.yaml]"]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The roster, instead of the one in the configuration: a file, or `URL#REF:PATH`
    #[arg(short, long, global = true, value_name = "FILE")]
    pub users: Option<PathBuf>,
    /// Only this workspace; may be repeated
    #[arg(long, global = true, value_name = "NAME")]
    pub workspace: Vec<String>,
    /// Address of the web UI, instead of `listen` in the configuration
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// The address in the environment
    #[arg(skip)]
    pub listen_of_environment: Option<SocketAddr>,
    /// Work on an embedded User Management API with example users
    #[arg(long, global = true)]
    pub sandbox: bool,
    /// Keep the sandbox's state in this file, and its ledger beside it
    #[arg(long, global = true, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Maximum wait for another run of the same workspace
    #[arg(long, global = true, value_name = "TIME", default_value = "60s")]
    #[arg(value_parser = duration)]
    pub lock_timeout: Duration,
    /// Format of log lines on stderr: text or json
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub log_format: LogFormat,
    /// Colour: auto (on a terminal, unless `NO_COLOR` is set), always or never
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub color: Color,
    /// Log requests and held changes (-vv: findings, timers); see `RUST_LOG`
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Only errors and warnings
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

impl Global {
    /// With what the environment says where the command line says nothing.
    pub fn or_environment(self) -> Result<Self, CliError> {
        let set = |name| env_var(name).filter(|value| !value.is_empty());
        let listen =
            set(LISTEN).map(|text| text.parse().map_err(|error| (text, error))).transpose();
        let listen = listen.map_err(|(text, error)| {
            CliError::Usage(format!("{LISTEN}: `{text}`: {error}; write 127.0.0.1:9464"))
        })?;
        let users = self.users.or_else(|| set(USERS).map(PathBuf::from));
        Ok(Self { users, listen_of_environment: listen, ..self })
    }

    /// The address that takes precedence over `listen` in the configuration.
    pub fn listen(&self) -> Option<SocketAddr> {
        self.listen.or(self.listen_of_environment)
    }
}

/// A time such as `20ms` or `5s`.
pub fn duration(text: &str) -> Result<Duration, String> {
    values::duration(text).ok_or_else(|| format!("`{text}` is not a time; write 20ms or 5s"))
}
