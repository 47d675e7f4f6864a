//! Logs on standard error: one line per event, text for people or JSON for programs.
//!
//! The fields of the spans around an event stand in its line, so that the span of a request brings
//! its id into everything that is logged while it is served.

use crate::config::{Log, LogFormat};
use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// Starts logging for the whole process; once.
pub fn init(log: &Log, color: bool) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = EnvFilter::try_new(&log.filter)?;
    match log.format {
        LogFormat::Json => tracing::subscriber::set_global_default(json(filter, std::io::stderr))?,
        LogFormat::Auto => tracing::subscriber::set_global_default(text(filter, std::io::stderr, color))?,
        LogFormat::Text => tracing::subscriber::set_global_default(text(filter, std::io::stderr, false))?,
    }
    Ok(())
}

/// `time LEVEL request{id=req_…}: target: message key=value`
pub fn text<W>(filter: EnvFilter, writer: W, color: bool) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(color).with_writer(writer).finish()
}

/// `{"timestamp":…,"level":…,"message":…,"target":…,"spans":[{"id":"req_…","name":"request"}]}`
pub fn json<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_env_filter(filter)
        .with_writer(writer)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Buffer {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log_something() {
        let span = tracing::info_span!("request", id = "req_7");
        let _inside = span.enter();
        tracing::info!(route = "/models", "first");
        tracing::warn!("second\nwith \u{1b}[31ma break");
        tracing::debug!("hidden by the filter");
    }

    #[test]
    fn every_line_of_text_has_the_request_id() {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = text(EnvFilter::new("info"), move || writer.clone(), false);
        tracing::subscriber::with_default(subscriber, log_something);
        let text = buffer.text();
        assert!(text.contains("first") && text.contains("second") && !text.contains("hidden"), "{text}");
        let events: Vec<&str> = text.lines().filter(|line| line.contains("INFO") || line.contains("WARN")).collect();
        assert_eq!(events.len(), 2);
        assert!(events.iter().all(|line| line.contains("req_7")), "{text}");
        assert!(!text.contains('\u{1b}'), "no escape sequences without a terminal: {text:?}");
    }

    #[test]
    fn every_line_of_json_is_an_object_with_the_request_id() {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = json(EnvFilter::new("info"), move || writer.clone());
        tracing::subscriber::with_default(subscriber, log_something);
        let lines: Vec<serde_json::Value> =
            buffer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        for line in &lines {
            assert_eq!(line["spans"][0]["id"], "req_7", "{line}");
        }
        assert_eq!(lines[0]["message"], "first");
        assert_eq!(lines[0]["route"], "/models");
    }

    #[test]
    fn a_terminal_gets_colours() {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = text(EnvFilter::new("info"), move || writer.clone(), true);
        tracing::subscriber::with_default(subscriber, log_something);
        assert!(buffer.text().contains('\u{1b}'));
    }
}
