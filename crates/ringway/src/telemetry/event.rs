//! From `tracing` to the writer: an event becomes a line without a time, which the writer stamps when it takes it.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer as Text;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::writer::Writer;

/// Formats events with `body` and gives them to a writer. `tracing`'s own way to a file then has nothing to write.
#[derive(Debug)]
pub(super) struct ToWriter<F> {
    body: F,
    writer: Writer,
}

impl<F> ToWriter<F> {
    pub(super) fn new(body: F, writer: Writer) -> Self {
        Self { body, writer }
    }
}

impl<S, N, F> FormatEvent<S, N> for ToWriter<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, _: Text<'_>, event: &Event<'_>) -> fmt::Result {
        let mut body = String::new();
        self.body.format_event(context, Text::new(&mut body), event)?;
        let body = body.trim_end_matches('\n');
        // What is only seen by those who asked for it is shown as it comes.
        match *event.metadata().level() <= Level::INFO {
            true => self.writer.tell(body),
            false => self.writer.tell_all(body),
        }
        Ok(())
    }
}
