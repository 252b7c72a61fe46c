//! Logs: one line a change, one line a run, to standard error; and spans, for a collector.

#[cfg(feature = "otlp")]
mod otlp;

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::diagnostic::{Diagnostic, Place, Severity, Sources};
use crate::escape::escape;
use crate::guard::Held;
use crate::plan::FindingCategory;
use crate::plan::change::Change;
use crate::render::findings;
use crate::report::{Applied, End, Outcome, RunReport, Status, Verification};

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Whether what is written is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// Where standard error is a terminal and `NO_COLOR` is not set.
    #[default]
    Auto,
    Always,
    Never,
}

/// The target of spans: they are for a collector, and no part of the log.
pub const TRACE: &str = crate::client::TRACE;

/// What still has to be sent at the end of the process.
#[derive(Debug, Default)]
pub struct ShutdownGuard {
    #[cfg(feature = "otlp")]
    export: Option<otlp::Export>,
}

impl ShutdownGuard {
    /// Waits shortly until it has been sent.
    pub fn finish(self) {
        #[cfg(feature = "otlp")]
        self.export.into_iter().for_each(otlp::Export::finish);
    }
}

/// Sends the log to standard error from now on; a second call changes nothing. `verbosity` is the
/// number of `-v` less the number of `-q`; `RUST_LOG` is stronger. With the feature `otlp`, spans
/// go where the environment says; that needs a runtime.
pub fn init(format: LogFormat, verbosity: i8, color: Color) -> ShutdownGuard {
    let asked = std::env::var("RUST_LOG").ok().filter(|asked| !asked.trim().is_empty());
    let (filter, problem) = filter(asked.as_deref(), verbosity);
    let subscriber = subscriber(format, filter, is_colored(color), std::io::stderr);
    #[cfg(feature = "otlp")]
    let (subscriber, sending, unsent) = {
        let (found, unsent) = match otlp::layer() {
            Ok(found) => (found, None),
            Err(why) => (None, Some(why)),
        };
        let (layer, export) = found.unzip();
        let layer = layer
            .map(|layer| layer.with_filter(filter_fn(|it| it.is_span() && it.target() == TRACE)));
        (subscriber.with(layer), ShutdownGuard { export }, unsent)
    };
    #[cfg(not(feature = "otlp"))]
    let (sending, unsent) = (ShutdownGuard::default(), None::<String>);
    if subscriber.try_init().is_err() {
        return sending;
    }
    if let Some(problem) = problem {
        tracing::warn!(problem, "RUST_LOG cannot be read and does not count");
    }
    if let Some(why) = unsent {
        tracing::warn!(why, "no spans are sent: OTEL_EXPORTER_OTLP_ENDPOINT cannot be used");
    }
    sending
}

fn is_colored(color: Color) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let choice = anstream::AutoStream::choice(&std::io::stderr());
            choice != anstream::ColorChoice::Never
        }
    }
}

/// The filter that was asked for, or the one of `-v` and `-q` with what is wrong about it.
fn filter(asked: Option<&str>, verbosity: i8) -> (EnvFilter, Option<String>) {
    let level = match verbosity {
        ..=-2 => "error",
        -1 => "warn",
        0 => "info",
        1 => "debug",
        2.. => "trace",
    };
    let default = || EnvFilter::new(format!("warn,notify=error,rosterd={level}"));
    match asked.map(EnvFilter::try_new) {
        None => (default(), None),
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (default(), Some(error.to_string())),
    }
}

fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    colored: bool,
    writer: W,
) -> impl Subscriber + for<'s> LookupSpan<'s> + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colored);
    let layer = match format {
        LogFormat::Text => layer.with_target(false).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_target(false).boxed(),
    };
    let layer = layer.with_filter(filter.and(filter_fn(is_ours_or_quiet)));
    tracing_subscriber::registry().with(layer)
}

/// Libraries below us tell in detail what goes over the wire, credentials and proxy passwords
/// included: none of their details are shown, whatever `RUST_LOG` says.
fn is_ours_or_quiet(metadata: &Metadata<'_>) -> bool {
    if metadata.target() == TRACE {
        return false;
    }
    let ours = metadata.target().split("::").next() == Some(env!("CARGO_CRATE_NAME"));
    ours || *metadata.level() <= Level::INFO
}

/// One event at a level that is known only now.
macro_rules! event_at {
    ($level:expr, $($fields:tt)+) => {
        match $level {
            Level::ERROR => tracing::error!($($fields)+),
            Level::WARN => tracing::warn!($($fields)+),
            Level::DEBUG => tracing::debug!($($fields)+),
            _ => tracing::info!($($fields)+),
        }
    };
}

/// Writes what became of a run: a line for each change, made or held, a warning for each guard
/// that held something, and a line for the run. `sources` are the files of the roster.
/// `next` is when the next run is due by itself, where there is one.
pub fn log_run(report: &RunReport, sources: &Sources, next: Option<Timestamp>) {
    let workspace = report.workspace.as_str();
    match &report.end {
        End::Failed(_) if report.is_interrupted() => tracing::info!(
            workspace,
            trigger = report.trigger.as_str(),
            status = EARLY,
            duration_ms = duration(report),
            "run"
        ),
        End::Failed(failure) => tracing::error!(
            workspace,
            trigger = report.trigger.as_str(),
            status = word(report.status()),
            kind = failure.kind.as_str(),
            duration_ms = duration(report),
            stale = report.stale,
            next = next.map(second),
            "run failed: {}",
            escape(&failure.message)
        ),
        End::Applied(applied) => {
            for (change, outcome) in &applied.outcomes {
                let stopped = applied.stopped.is_some();
                log_change(workspace, change, outcome, stopped, sources);
            }
            for held in &applied.verdict.held {
                log_held(workspace, held, sources);
            }
            for refusal in &applied.verdict.violations {
                let (guard, hint) = (refusal.guard.to_string(), escape(&refusal.hint));
                tracing::warn!(workspace, guard, %hint, "held: {}", escape(&refusal.message));
            }
            log_persons(workspace, applied);
            if let Some(approvals) = applied.verdict.approvals_in_short() {
                let words = "these lines of the roster release what is held";
                tracing::warn!(workspace, approvals, "{words}");
            }
            log_applied(report, applied, next);
        }
    }
}

fn log_change(
    workspace: &str,
    change: &Change,
    outcome: &Outcome,
    stopped: bool,
    sources: &Sources,
) {
    let (level, outcome, error) = match outcome {
        // Why the run stopped is told once, with the run.
        Outcome::NotSent(_) if stopped => (Level::DEBUG, "not_sent", None),
        Outcome::Done => (Level::INFO, "done", None),
        Outcome::Rejected(error) => (Level::ERROR, "rejected", Some(error)),
        Outcome::Unknown(error) => (Level::WARN, "unknown", Some(error)),
        Outcome::NotSent(error) => (Level::WARN, "not_sent", Some(error)),
    };
    let error = error.map(|error| escape(error));
    let Told { email, from, to, place } = Told::of(change, sources);
    event_at!(
        level,
        workspace,
        change = change.kind(),
        email = email.as_ref(),
        from = from.as_deref(),
        to = to.as_deref(),
        outcome,
        reason = change.reason.description(),
        place,
        error = error.as_deref(),
        "change"
    );
}

fn log_held(workspace: &str, held: &Held, sources: &Sources) {
    let by: Vec<String> = held.by.iter().map(ToString::to_string).collect();
    let Told { email, from, to, place } = Told::of(&held.change, sources);
    tracing::info!(
        workspace,
        change = held.change.kind(),
        email = email.as_ref(),
        from = from.as_deref(),
        to = to.as_deref(),
        outcome = "held",
        reason = held.change.reason.description(),
        place,
        by = by.join(","),
        "change"
    );
}

/// What a line says of a change, safe to show.
struct Told<'a> {
    email: Cow<'a, str>,
    from: Option<Cow<'a, str>>,
    to: Option<Cow<'a, str>>,
    place: Option<String>,
}

impl<'a> Told<'a> {
    fn of(change: &'a Change, sources: &Sources) -> Self {
        Self {
            email: escape(change.email.as_str()),
            from: change.from().map(|role| escape(role.as_str())),
            to: change.to().map(|role| escape(role.as_str())),
            place: change.place.map(|place| file_and_line(place, sources)),
        }
    }
}

/// So many lines at most for what needs a person; the line of the run has the number.
const PERSONS: usize = 20;

/// What rosterd cannot do is told at every run, until somebody has done it.
fn log_persons(workspace: &str, applied: &Applied) {
    let findings = applied.plan.findings().iter();
    let needs_action = findings.filter(|it| it.kind.category() == FindingCategory::NeedsAction);
    for finding in needs_action.take(PERSONS) {
        let words = findings::message(finding, applied.plan.now());
        tracing::warn!(workspace, email = escape(finding.email.as_str()).as_ref(), "{words}");
    }
}

fn log_applied(report: &RunReport, applied: &Applied, next: Option<Timestamp>) {
    let status = report.status();
    let early = report.is_interrupted();
    let level = if early {
        Level::INFO
    } else if status == Status::Failed {
        Level::ERROR
    } else if report.stale || status == Status::Held {
        Level::WARN
    } else {
        Level::INFO
    };
    let count = |wanted: fn(&Outcome) -> bool| {
        applied.outcomes.iter().filter(|(_, outcome)| wanted(outcome)).count()
    };
    let count_of = |category| {
        let findings = applied.plan.findings().iter();
        findings.filter(|finding| finding.kind.category() == category).count()
    };
    let (in_sync, left, error) = after(applied);
    event_at!(
        level,
        workspace = report.workspace.as_str(),
        trigger = report.trigger.as_str(),
        status = if early { EARLY } else { word(status) },
        done = count(|outcome| *outcome == Outcome::Done),
        rejected = count(|outcome| matches!(outcome, Outcome::Rejected(_))),
        unknown = count(|outcome| matches!(outcome, Outcome::Unknown(_))),
        not_sent = count(|outcome| matches!(outcome, Outcome::NotSent(_))),
        held = applied.verdict.held.len(),
        lost = some(applied.lost),
        pending = some(count_of(FindingCategory::Pending)),
        propagating = some(count_of(FindingCategory::Propagating)),
        needs_action = some(count_of(FindingCategory::NeedsAction)),
        left,
        in_sync,
        duration_ms = duration(report),
        plan = %applied.plan.fingerprint(),
        ledger = report.ledger.as_deref(),
        stale = report.stale,
        error = error.as_deref(),
        next = next.map(second),
        "run"
    );
}

/// A count that is told only where it is not zero.
fn some(count: usize) -> Option<usize> {
    (count > 0).then_some(count)
}

/// Members in sync and changes left by the last reading, and why the run did not end well.
fn after(applied: &Applied) -> (usize, usize, Option<Cow<'_, str>>) {
    let stopped = applied.stopped.as_ref().map(|failure| failure.message.as_str());
    let (in_sync, left, unread) = match &applied.verification {
        Verification::NotNeeded => (applied.plan.facts().in_sync, 0, None),
        Verification::Failed(error) => (applied.plan.facts().in_sync, 0, Some(error.as_str())),
        Verification::Read(residue) => (residue.in_sync, residue.applicable.len(), None),
    };
    (in_sync, left, stopped.or(unread).map(escape))
}

/// A line for each problem of a file; `workspace` is None for those of the configuration.
pub fn log_diagnostics(workspace: Option<&str>, sources: &Sources, diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARN,
        };
        let place = diagnostic.place;
        let place =
            place.map(|place| format!("{}:{}", file_and_line(place, sources), place.column));
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

fn file_and_line(place: Place, sources: &Sources) -> String {
    format!("{}:{}", escape(sources.name(place.file)), place.line)
}

/// To the second, which is what people plan by.
fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The word of a run that made room for a later one, or for the end of the process.
const EARLY: &str = "early";

fn word(status: Status) -> &'static str {
    match status {
        Status::Converged => "converged",
        Status::Held => "held",
        Status::Failed => "failed",
    }
}

/// In milliseconds; a clock that was put back meanwhile counts as none.
fn duration(report: &RunReport) -> u64 {
    let taken: SignedDuration = report.finished.duration_since(report.started);
    u64::try_from(taken.as_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
