//! Logs what is wrong with files.

use tracing::Level;

use crate::diagnostic::{Diagnostic, Severity, Sources};
use crate::escape::escape;
use crate::render::at;

/// Logs the diagnostics of the roster of a workspace, or of the configuration.
pub fn log_diagnostics(workspace: Option<&str>, sources: &Sources, diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARN,
        };
        let place = diagnostic.place.map(|it| format!("{}:{}", at(sources, it), it.column));
        let hint = diagnostic.hint.as_deref().map(escape);
        event_at!(
            level,
            workspace,
            code = diagnostic.code,
            place,
            hint = hint.as_deref(),
            "{}",
            escape(&diagnostic.message)
        );
    }
}
