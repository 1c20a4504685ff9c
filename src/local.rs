//! The embedded SQS: a server of its own, in memory, that any AWS SDK can talk to.
//!
//! From the outside in:
//!
//! - [`server`](Server)   the thread, its one timer; start, stop, advance, reset; its sockets are in `listener`, `tls` and `wire`
//! - `http`               requests over HTTP, and what is refused before it is one; `respond` has the responses
//! - `state`              all that requests change, behind one lock
//! - `views`              what browsers and monitors are shown; `console` is the page
//! - `polls`              long polls that wait
//! - `operations`         the 23 actions, from JSON to JSON
//! - `service`            all queues, by account and region; `redrive` and move `tasks` between them
//! - `queue`              one queue; `standard` and `fifo` are its two orders
//!
//! Everything from `operations` down is pure: no clock, no sockets, no tokio. The time is an argument.

mod caller;
mod clock;
pub(crate) mod console;
mod deadlines;
mod digest;
mod error;
mod faults;
mod fifo;
mod guard;
mod handle;
mod held;
mod http;
mod input;
mod ledger;
mod limits;
mod listener;
mod lock;
mod log;
mod message;
mod operations;
mod policy;
mod polls;
mod queue;
mod redrive;
mod reply;
mod respond;
mod server;
mod service;
mod settings;
#[cfg(test)]
pub(crate) mod simulated;
mod standard;
mod state;
mod tasks;
mod tls;
mod validate;
mod views;
mod window;
mod wire;

pub use clock::ClockMode;
pub use error::SqsError;
pub use faults::{Fault, FaultKind};
#[cfg(feature = "python")]
pub(crate) use faults::{MAX_DELAY, MAX_ENTRIES};
pub use limits::ServerLimits;
pub use log::LogFormat;
pub use server::{Server, ServerOptions};
pub use state::ServerStats;
pub use tls::{PemFile, ServerIdentity};
