//! Priorities for the systemd journal: a line on standard error that begins with `<3>` is an error.

use std::os::unix::fs::MetadataExt as _;
use std::{env, fmt, fs};

use tracing::{Event, Level, Subscriber};
use tracing_logfmt::EventsFormatter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Whether standard error is connected to the journal, which is then named by `JOURNAL_STREAM`.
pub fn is_stderr() -> bool {
    let stream = fs::metadata("/dev/stderr").map(|it| format!("{}:{}", it.dev(), it.ino()));
    env::var("JOURNAL_STREAM").is_ok_and(|journal| stream.is_ok_and(|stream| stream == journal))
}

/// The text format of events, with their priority if it is for the journal.
pub(super) struct Format {
    pub text: EventsFormatter,
    pub is_journal: bool,
}

impl<S, N> FormatEvent<S, N> for Format
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.is_journal {
            writer.write_str(match *event.metadata().level() {
                Level::ERROR => "<3>",
                Level::WARN => "<4>",
                Level::INFO => "<6>",
                _ => "<7>",
            })?;
        }
        self.text.format_event(context, writer, event)
    }
}
