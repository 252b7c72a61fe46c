//! Results to stdout, everything else to stderr.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use terminal_size::terminal_size_of;

use super::{CliError, Global};
use crate::diagnostic::{Diagnostic, Sources};
use crate::escape::escape;
use crate::files::{self, Mode};
use crate::render;
use crate::render::table::Screen;
use crate::telemetry::{self, Color, LogFormat};

/// Sets for the whole process whether output is coloured.
pub fn choose_color(color: Color) {
    match color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    }
    .write_global();
}

/// Writes a result. A closed stdout (`| head`) is no failure.
pub fn result(text: &str) -> Result<(), CliError> {
    let mut stdout = anstream::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CliError::Failed(format!("stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Where results are read. `--verbose` shows all rows, too.
pub fn screen(global: &Global, all: bool) -> Screen {
    let terminal = terminal_size_of(io::stdout());
    let width = terminal.map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0);
    Screen { width, all: all || global.verbose > 0 }
}

/// Writes a result to a file: completely or not at all.
pub fn to_file(path: &Path, text: &str, mode: Mode) -> Result<(), CliError> {
    if path.file_name().is_none() {
        return Err(CliError::Usage("--out needs a file".into()));
    }
    let plain = anstream::adapter::strip_str(text).to_string();
    let text = match anstream::ColorChoice::global() {
        anstream::ColorChoice::Always => text,
        _ => plain.as_str(),
    };
    files::write(path, text.as_bytes(), mode)
        .map_err(|error| CliError::Failed(format!("{}: {error}", path.display())))
}

/// Writes a message that is not a result.
pub fn note(text: &str) {
    let mut stderr = anstream::stderr().lock();
    let _ = writeln!(stderr, "{}", text.trim_end());
}

/// The same, with an empty line after it.
pub fn paragraph(text: &str) {
    note(text);
    let _ = writeln!(anstream::stderr().lock());
}

/// Whether errors are log lines: as JSON, or for the journal, which then knows their priority.
fn is_logged(global: &Global) -> bool {
    global.log_format == LogFormat::Json || telemetry::journal::is_stderr()
}

/// Reports problems of a roster or of the configuration: with the source lines as text, or as one
/// log line each.
pub fn problems(global: &Global, workspace: Option<&str>, sources: &Sources, found: &[Diagnostic]) {
    if is_logged(global) {
        telemetry::log_diagnostics(workspace, sources, found);
    } else if !found.is_empty() {
        note(&render::diagnostics::text(found, sources, true));
    }
}

/// Reports why a command cannot go on.
pub fn error(global: &Global, error: &CliError) {
    let message = match error {
        CliError::Invalid(error) => {
            return problems(global, None, &error.sources, &error.diagnostics);
        }
        // It may quote text from outside.
        CliError::Usage(message) | CliError::Held(message) | CliError::Failed(message) => {
            escape_lines(message, "\n")
        }
    };
    if is_logged(global) {
        tracing::error!("{message}");
    } else {
        let style = anstyle::AnsiColor::Red.on_default().bold();
        note(&format!("{style}error{style:#}: {message}"));
    }
}

/// The exit code of a command, or of one workspace. An error is reported.
pub fn exit_code(global: &Global, ended: Result<u8, CliError>) -> u8 {
    ended.unwrap_or_else(|failed| {
        error(global, &failed);
        failed.code()
    })
}

/// Escapes each line, and joins them.
pub fn escape_lines(text: &str, separator: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join(separator)
}

/// Whether a question can be asked.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a yes-or-no question on the terminal; None without a terminal.
pub fn ask(question: &str) -> Option<bool> {
    if !is_interactive() {
        return None;
    }
    let mut stderr = anstream::stderr().lock();
    let _ = write!(stderr, "{question} [y/N] ");
    let _ = stderr.flush();
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).ok()?;
    Some(matches!(answer.trim(), "y" | "Y" | "yes"))
}
