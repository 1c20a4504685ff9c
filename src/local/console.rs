//! The console's files: a page, its styles and scripts, and the library that it is written with.

/// What a browser lets the page do: its own scripts and styles, requests to its own server, and nothing else.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                                 connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the console.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConsoleFile {
    /// Its media type.
    pub kind: &'static str,
    pub body: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Places below the page's own address, media types and contents.
const FILES: [(&str, &str, &[u8]); 14] = [
    ("", HTML, include_bytes!("console/index.html")),
    ("_turbosqs/console/console.css", STYLE, include_bytes!("console/console.css")),
    ("_turbosqs/console/icon.svg", "image/svg+xml", include_bytes!("console/icon.svg")),
    ("_turbosqs/console/main.js", SCRIPT, include_bytes!("console/main.js")),
    ("_turbosqs/console/api.js", SCRIPT, include_bytes!("console/api.js")),
    ("_turbosqs/console/parts.js", SCRIPT, include_bytes!("console/parts.js")),
    ("_turbosqs/console/queues.js", SCRIPT, include_bytes!("console/queues.js")),
    ("_turbosqs/console/queue.js", SCRIPT, include_bytes!("console/queue.js")),
    ("_turbosqs/console/messages.js", SCRIPT, include_bytes!("console/messages.js")),
    ("_turbosqs/console/cost.js", SCRIPT, include_bytes!("console/cost.js")),
    ("_turbosqs/console/preact.js", SCRIPT, include_bytes!("console/vendor/preact.js")),
    ("_turbosqs/console/hooks.js", SCRIPT, include_bytes!("console/vendor/hooks.js")),
    ("_turbosqs/console/htm.js", SCRIPT, include_bytes!("console/vendor/htm.js")),
    ("_turbosqs/console/LICENSES.txt", TEXT, include_bytes!("console/vendor/LICENSES.txt")),
];

/// The file at this place, without a slash before it; the page itself is at the empty one.
pub(crate) fn file(place: &str) -> Option<ConsoleFile> {
    FILES.iter().find(|(known, _, _)| *known == place).map(|(_, kind, body)| ConsoleFile { kind, body })
}
