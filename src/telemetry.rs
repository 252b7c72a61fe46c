//! Logs to standard error, with a line for each change and each run; and spans for a collector.

pub mod journal;
#[cfg(feature = "otlp")]
mod otlp;

use anstream::{AutoStream, ColorChoice};
use jiff::Timestamp;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::diagnostic::Sources;
use crate::escape::escape;
use crate::plan::FindingCategory;
use crate::plan::change::Change;
use crate::render::{at, time};
use crate::report::{
    Applied, End, Failure, Outcome, RunCounts, RunReport, RunStatus, Verification,
};
use crate::revision::Revision;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Whether logs are coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// If standard error is a terminal and `NO_COLOR` is not set.
    #[default]
    Auto,
    Always,
    Never,
}

/// The target of spans. They go to a collector, not to the log.
pub const TRACE: &str = crate::client::TRACE;

/// Flushes pending spans when the process exits.
#[derive(Debug, Default)]
pub struct ShutdownGuard {
    #[cfg(feature = "otlp")]
    export: Option<otlp::Export>,
}

impl ShutdownGuard {
    /// Waits shortly for pending spans.
    pub fn finish(self) {
        #[cfg(feature = "otlp")]
        self.export.into_iter().for_each(otlp::Export::finish);
    }
}

/// Initializes logging; a second call has no effect. `verbosity` is the number of `-v` minus the
/// number of `-q`; `RUST_LOG` takes precedence. With the feature `otlp`, spans are exported as the
/// environment says, which requires a tokio runtime.
pub fn init(format: LogFormat, verbosity: i8, color: Color) -> ShutdownGuard {
    let directives = std::env::var("RUST_LOG").ok().filter(|it| !it.trim().is_empty());
    let (filter, problem) = filter(directives.as_deref(), verbosity);
    let (is_colored, is_journal) = (is_colored(color), journal::is_stderr());
    let subscriber = subscriber(format, filter, is_colored, is_journal, std::io::stderr);
    #[cfg(feature = "otlp")]
    let (subscriber, guard, export_error) = {
        let (exported, export_error) = match otlp::layer() {
            Ok(exported) => (exported, None),
            Err(why) => (None, Some(why)),
        };
        let (layer, export) = exported.unzip();
        let layer = layer
            .map(|layer| layer.with_filter(filter_fn(|it| it.is_span() && it.target() == TRACE)));
        (subscriber.with(layer), ShutdownGuard { export }, export_error)
    };
    #[cfg(not(feature = "otlp"))]
    let (guard, export_error) = (ShutdownGuard::default(), None::<String>);
    if subscriber.try_init().is_err() {
        return guard;
    }
    if let Some(problem) = problem {
        tracing::warn!(problem, "invalid RUST_LOG, ignored");
    }
    if let Some(why) = export_error {
        tracing::warn!(why, "invalid OTEL_EXPORTER_OTLP_ENDPOINT, spans are not exported");
    }
    guard
}

fn is_colored(color: Color) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => AutoStream::choice(&std::io::stderr()) != ColorChoice::Never,
    }
}

/// The filter of `RUST_LOG`, or the default for `verbosity` and the error in `RUST_LOG`.
fn filter(directives: Option<&str>, verbosity: i8) -> (EnvFilter, Option<String>) {
    let level = match verbosity {
        ..=-2 => "error",
        -1 => "warn",
        0 => "info",
        1 => "debug",
        2.. => "trace",
    };
    let default = || EnvFilter::new(format!("warn,notify=error,rosterd={level}"));
    match directives.map(EnvFilter::try_new) {
        None => (default(), None),
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (default(), Some(error.to_string())),
    }
}

fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    colored: bool,
    is_journal: bool,
    writer: W,
) -> impl Subscriber + for<'s> LookupSpan<'s> + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = match format {
        LogFormat::Text => {
            let builder = tracing_logfmt::builder().with_target(false).with_ansi_color(colored);
            let layer = builder.layer().with_writer(writer);
            layer.map_event_format(|text| journal::Format { text, is_journal }).boxed()
        }
        LogFormat::Json => {
            let layer = tracing_subscriber::fmt::layer().with_writer(writer).json();
            layer.flatten_event(true).with_target(false).boxed()
        }
    };
    let layer = layer.with_filter(filter.and(filter_fn(is_ours_or_quiet)));
    tracing_subscriber::registry().with(layer)
}

/// Excludes debug and trace events of libraries whatever `RUST_LOG` says: they log requests with
/// credentials and proxy passwords.
fn is_ours_or_quiet(metadata: &Metadata<'_>) -> bool {
    if metadata.target() == TRACE {
        return false;
    }
    let ours = metadata.target().split("::").next() == Some(env!("CARGO_CRATE_NAME"));
    ours || *metadata.level() <= Level::INFO
}

/// Logs an event at a level that is not constant.
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

mod diagnostics;
mod standing;

pub use diagnostics::log_diagnostics;
pub use standing::Standing;
use standing::{log_findings, log_held, log_needs_action, log_recovery};

/// Logs a run: a line for each change that was sent, what is new among `standing`, and a line for
/// the run. Each held change is a line of its own at the level of debugging. `sources` are the
/// files of the roster, `next` is the time of the next scheduled run.
pub fn log_run(
    report: &RunReport,
    sources: &Sources,
    next: Option<Timestamp>,
    standing: &mut Standing,
) {
    let workspace = report.workspace.as_str();
    match &report.end {
        End::Failed(failure) => {
            log_failed(report, failure, next);
            log_recovery(report, standing);
        }
        End::Applied(applied) => {
            for (change, outcome) in &applied.outcomes {
                let level = match outcome {
                    // The line of the run says why it stopped.
                    Outcome::NotSent(_) if applied.stopped.is_some() => Level::DEBUG,
                    Outcome::Done => Level::INFO,
                    Outcome::Rejected(_) => Level::ERROR,
                    Outcome::Unknown(_) | Outcome::NotSent(_) => Level::WARN,
                };
                let error = outcome.error().filter(|_| level != Level::DEBUG).map(escape);
                let error = error.as_deref();
                let by = applied.asked_by(change);
                log_change(workspace, level, change, (outcome.as_str(), error, None), by, sources);
            }
            if LevelFilter::current() == LevelFilter::TRACE {
                log_findings(workspace, applied);
            }
            log_held(workspace, applied, sources, standing);
            log_needs_action(workspace, applied, standing);
            log_applied(report, applied, next);
            log_recovery(report, standing);
        }
    }
}

/// A run that ended before it applied anything.
fn log_failed(report: &RunReport, failure: &Failure, next: Option<Timestamp>) {
    let (level, message) = match failure.kind {
        _ if report.is_interrupted() => (Level::INFO, "run".to_owned()),
        kind if kind.is_held() => (Level::WARN, format!("held: {}", escape(&failure.message))),
        _ => (Level::ERROR, format!("run failed: {}", escape(&failure.message))),
    };
    event_at!(
        level,
        workspace = report.workspace.as_str(),
        trigger = report.trigger.as_str(),
        status = report.status().as_str(),
        kind = (level != Level::INFO).then_some(failure.kind.as_str()),
        duration_ms = duration(report),
        key = report.key.as_deref(),
        stale = (level == Level::ERROR).then_some(report.is_stale()),
        next = next.filter(|_| level != Level::INFO).map(time::exact),
        "{message}"
    );
}

/// Logs a change with its outcome, the escaped error, the guards that hold it, and the commit that
/// asked for it.
fn log_change(
    workspace: &str,
    level: Level,
    change: &Change,
    (outcome, error, by): (&str, Option<&str>, Option<String>),
    asked_by: Option<&Revision>,
    sources: &Sources,
) {
    let [from, to] =
        [change.action.from(), change.action.to()].map(|role| Some(escape(role?.as_str())));
    event_at!(
        level,
        workspace,
        change = change.action.kind(),
        email = escape(change.email.as_str()).as_ref(),
        from = from.as_deref(),
        to = to.as_deref(),
        outcome,
        reason = change.reason.description(),
        place = change.place.map(|place| at(sources, place)),
        commit = asked_by.map(|it| escape(&it.full()).into_owned()),
        author = asked_by.and_then(|it| Some(escape(it.author.as_deref()?).into_owned())),
        error,
        by,
        "change"
    );
}

fn log_applied(report: &RunReport, applied: &Applied, next: Option<Timestamp>) {
    let status = report.status();
    let level = match status {
        RunStatus::Interrupted => Level::INFO,
        RunStatus::Failed => Level::ERROR,
        _ if report.is_stale() || status == RunStatus::Held => Level::WARN,
        _ => Level::INFO,
    };
    let RunCounts { done, rejected, unknown, not_sent, held, in_sync } = applied.counts();
    let count_of = |category| {
        let findings = applied.plan.findings().iter();
        findings.filter(|finding| finding.kind.category() == category).count()
    };
    let (remaining, unverified) = match &applied.verification {
        Verification::NotNeeded => (0, None),
        Verification::Failed(error) => (0, Some(error.as_str())),
        Verification::Read(residue) => (residue.applicable.len(), None),
    };
    let stopped = applied.stopped.as_ref().map(|failure| failure.message.as_str());
    let error = stopped.or(unverified).map(escape);
    event_at!(
        level,
        workspace = report.workspace.as_str(),
        trigger = report.trigger.as_str(),
        status = status.as_str(),
        done,
        rejected,
        unknown,
        not_sent,
        held,
        lost = nonzero(applied.lost),
        pending = nonzero(count_of(FindingCategory::Pending)),
        propagating = nonzero(count_of(FindingCategory::Propagating)),
        needs_action = nonzero(count_of(FindingCategory::NeedsAction)),
        remaining,
        in_sync,
        duration_ms = duration(report),
        key = report.key.as_deref(),
        plan = %applied.plan.fingerprint.short(),
        ledger = report.ledger.as_deref(),
        stale = report.is_stale(),
        error = error.as_deref(),
        next = next.map(time::exact),
        "run"
    );
}

/// Omits the field if the count is zero.
fn nonzero(count: usize) -> Option<usize> {
    (count > 0).then_some(count)
}

/// In milliseconds; 0 if the clock was set back during the run.
fn duration(report: &RunReport) -> u64 {
    u64::try_from(report.finished.duration_since(report.started).as_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
