//! The log: a line for each request.

use std::time::Duration;

/// The most characters of a peer's text that a line shows.
const SHOWN: usize = 100;

/// A line. What comes from the peer can neither end it, nor forge its columns, nor drive the terminal that shows it.
pub(super) fn line(action: &str, queue: &str, status: u16, elapsed: Duration) -> String {
    let micros = elapsed.as_micros();
    let queue = match queue {
        "" => "-".to_owned(),
        queue => plain(queue),
    };
    format!("{action} {queue} {status} {}.{} ms\n", micros / 1_000, micros % 1_000 / 100)
}

/// The text in printable ASCII without blanks.
fn plain(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_of_plain_characters() {
        let elapsed = Duration::from_micros(1_250);
        assert_eq!(line("SendMessage", "orders.fifo", 200, elapsed), "SendMessage orders.fifo 200 1.2 ms\n");
        assert_eq!(line("-", "", 400, elapsed), "- - 400 1.2 ms\n");
        for character in ('\0'..=char::MAX).filter(|c| !c.is_ascii_graphic()) {
            let line = line("SendMessage", &format!("q{character}q"), 200, elapsed);
            let rest = line.strip_suffix('\n').unwrap();
            assert!(rest.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{character:?}");
            assert_eq!(rest.split(' ').count(), 5, "{character:?}");
        }
        assert_eq!(line("X", "a\u{1b}[2Jb\n200 ok\\", 200, elapsed), "X a\\u{1b}[2Jb\\n200\\u{20}ok\\\\ 200 1.2 ms\n");
        assert!(line("X", &"\n".repeat(1_000_000), 200, elapsed).len() < 300);
    }
}
