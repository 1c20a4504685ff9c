//! The log: a line for each request, and what else the server's user should know.

use std::io::{self, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

/// The most characters of a peer's text that a line shows.
const SHOWN: usize = 100;

/// How the lines of the log are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Columns, for people.
    Text,
    /// A JSON object a line, for programs.
    Json,
}

/// What a line tells.
#[derive(Debug)]
pub(super) struct LogEntry<'a> {
    pub at: SystemTime,
    pub region: &'a str,
    pub action: &'a str,
    /// The name of the queue, if there is one.
    pub queue: &'a str,
    pub status: u16,
    /// The error's code, as AWS SDKs report it.
    pub error: Option<&'a str>,
    pub elapsed: Duration,
}

impl LogEntry<'_> {
    /// A line. What comes from the peer can neither end it, nor forge its columns, nor drive the terminal that shows it.
    pub(super) fn line(&self, format: LogFormat) -> String {
        let micros = self.elapsed.as_micros();
        let milliseconds = format!("{}.{}", micros / 1_000, micros % 1_000 / 100);
        let time = utc(self.at);
        match format {
            LogFormat::Text => format!(
                "{time} {} {} {} {} {} {milliseconds} ms\n",
                plain(self.region),
                self.action,
                plain(self.queue),
                self.status,
                self.error.unwrap_or("-"),
            ),
            LogFormat::Json => {
                let shown = |text: &str| (!text.is_empty()).then(|| plain(text));
                let line = json!({
                    "time": time,
                    "region": shown(self.region),
                    "action": self.action,
                    "queue": shown(self.queue),
                    "status": self.status,
                    "error": self.error,
                    "milliseconds": micros as f64 / 1_000.0,
                });
                format!("{line}\n")
            }
        }
    }
}

/// What the server's user should know whether requests are logged or not: a sentence on standard error, at most one a second.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    last: Option<Instant>,
}

impl Complaints {
    /// Says it in the form of the log, unless something has been said a moment ago.
    pub(super) fn say(&mut self, format: Option<LogFormat>, sentence: &str) {
        let now = Instant::now();
        if self.last.is_none_or(|last| now - last > Duration::from_secs(1)) {
            self.last = Some(now);
            // Nobody can be told that nobody can be told.
            let _ = io::stderr().lock().write_all(complaint(SystemTime::now(), format, sentence).as_bytes());
        }
    }
}

fn complaint(at: SystemTime, format: Option<LogFormat>, sentence: &str) -> String {
    match format {
        None | Some(LogFormat::Text) => format!("turbosqs: {sentence}\n"),
        Some(LogFormat::Json) => format!("{}\n", json!({"time": utc(at), "message": sentence})),
    }
}

/// The text in printable ASCII without blanks.
fn plain(text: &str) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    let mut shown = String::new();
    let mut characters = text.chars();
    for character in characters.by_ref().take(SHOWN) {
        match character {
            ' ' => shown.push_str("\\u{20}"),
            character => shown.extend(character.escape_default()),
        }
    }
    if characters.next().is_some() {
        shown.push_str("...");
    }
    shown
}

/// `2026-01-31T12:00:00.000Z`.
fn utc(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Years that begin in March have their leap day at the end: 400 of them are 146,097 days, and months of 153 days in five.
    let shifted = days + 719_468;
    let (cycle, day_of_cycle) = (shifted / 146_097, shifted % 146_097);
    let year_of_cycle = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = cycle * 400 + year_of_cycle + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>(action: &'a str, queue: &'a str) -> LogEntry<'a> {
        let at = UNIX_EPOCH + Duration::from_millis(1_767_225_599_999);
        let elapsed = Duration::from_micros(1_250);
        LogEntry { at, region: "eu-west-1", action, queue, status: 200, error: None, elapsed }
    }

    #[test]
    fn a_line_is_one_line_of_plain_characters() {
        let line = |action: &str, queue: &str| entry(action, queue).line(LogFormat::Text);
        assert_eq!(
            line("SendMessage", "orders.fifo"),
            "2025-12-31T23:59:59.999Z eu-west-1 SendMessage orders.fifo 200 - 1.2 ms\n"
        );
        for character in ('\0'..=char::MAX).filter(|c| !c.is_ascii_graphic()) {
            let line = line("SendMessage", &format!("q{character}q"));
            let rest = line.strip_suffix('\n').unwrap();
            assert!(rest.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{character:?}");
            assert_eq!(rest.split(' ').count(), 8, "{character:?}");
        }
        assert!(line("X", "a\u{1b}[2Jb\n200 ok\\").contains("X a\\u{1b}[2Jb\\n200\\u{20}ok\\\\ 200 "));
        assert!(line("X", &"\n".repeat(1_000_000)).len() < 400);
    }

    #[test]
    fn a_line_of_json() {
        let refused =
            LogEntry { status: 400, error: Some("InvalidAddress"), region: "", ..entry("SendMessage", "a\nb") };
        let line = refused.line(LogFormat::Json);
        assert_eq!(line.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        let expected = json!({
            "time": "2025-12-31T23:59:59.999Z", "region": null, "action": "SendMessage", "queue": "a\\nb", "status": 400,
            "error": "InvalidAddress", "milliseconds": 1.25
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn complaints_are_sentences() {
        assert_eq!(complaint(UNIX_EPOCH, None, "it rains"), "turbosqs: it rains\n");
        assert_eq!(complaint(UNIX_EPOCH, Some(LogFormat::Text), "it rains"), "turbosqs: it rains\n");
        let line = complaint(UNIX_EPOCH, Some(LogFormat::Json), "it\nrains");
        assert_eq!(line.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value, json!({"time": "1970-01-01T00:00:00.000Z", "message": "it\nrains"}));
    }

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (1_790_000_000, "2026-09-21T14:13:20.000Z"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
