//! Deletes and visibility changes, batched, and what their answers mean.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::stock::{Act, Extension, Settled, Told, What};
use super::{About, Shared, State, Trouble};
use crate::batcher::Entry;
use crate::caller::{Caller, Sink};
use crate::error::Error;
use crate::model::Action;
use crate::receiver::visibility;
use crate::transport::Reply;

/// What is to be entered with the batchers, outside of the lock.
#[derive(Debug, Default)]
pub(super) struct Commands {
    deletes: Vec<(Entry, Caller<Reply>)>,
    changes: Vec<(Entry, Caller<Reply>)>,
}

impl Shared {
    /// What the service is asked for, as entries.
    pub(super) fn commands(self: &Arc<Self>, state: &mut State, acts: Vec<Act>, now: Duration) -> Commands {
        let mut commands = Commands::default();
        state.unanswered += acts.len();
        for Act { id, handle, what, not_after } in acts {
            let answered = Caller::new(Answered { shared: Arc::clone(self), id, what, sent: now });
            let entry = match what {
                What::Delete => delete(&handle),
                What::Visible(seconds) | What::Extend(seconds) => visibility(&handle, seconds),
            };
            let entry = Entry { not_after: self.moment(not_after), ..entry };
            match what {
                What::Delete => commands.deletes.push((entry, answered)),
                What::Visible(_) | What::Extend(_) => commands.changes.push((entry, answered)),
            }
        }
        commands
    }

    fn moment(&self, at: Duration) -> Option<Instant> {
        self.began.checked_add(at)
    }

    /// What cannot be entered is told to its callers.
    pub(super) fn enter(&self, commands: Commands) -> Result<(), Error> {
        if !commands.deletes.is_empty() {
            self.deletes.enter_all(commands.deletes)?;
        }
        if !commands.changes.is_empty() {
            self.changes.enter_all(commands.changes)?;
        }
        Ok(())
    }

    fn answered(self: &Arc<Self>, answered: &Answered, answer: Result<Reply, Error>) {
        let now = self.now();
        let mut state = self.lock();
        state.unanswered -= 1;
        // First what has run out by now: an answer that comes after that does not count any more.
        let mut acts = state.stock.tick(now);
        acts.extend(match (answered.what, answer) {
            (What::Extend(seconds), answer) => {
                let extension = match answer {
                    Ok(_) => {
                        state.counts.extended += 1;
                        Extension::Done(answered.sent, seconds)
                    }
                    Err(error) if is_gone(&error) => Extension::Gone(error),
                    Err(error) => Extension::Failed(error),
                };
                state.stock.extended(now, answered.id, extension)
            }
            (what, answer) => {
                let settled = match answer {
                    Ok(_) => Settled::Done,
                    Err(error @ Error::Lost(_)) => Settled::Unknown(error),
                    Err(error) if may_pass(&error) => Settled::Failed(error),
                    Err(error) => Settled::Refused(error),
                };
                if matches!(settled, Settled::Done) {
                    match what {
                        What::Delete => state.counts.deleted += 1,
                        _ => state.counts.given_back += u64::from(!state.stock.is_taken(answered.id)),
                    }
                }
                state.stock.settled(now, answered.id, settled)
            }
        });
        // What cannot be asked for is told to its callers.
        let _ = self.follow(state, acts);
    }
}

impl State {
    /// What there is to tell of messages goes among the troubles.
    pub(super) fn hear(&mut self) {
        for told in self.stock.told() {
            let trouble = match told {
                Told::Lost(message, error) => Trouble {
                    action: Action::ChangeMessageVisibility,
                    about: About::Lost(message),
                    error: error.unwrap_or_else(run_out),
                },
                Told::Failed(message, said, error) => Trouble {
                    action: match said {
                        super::Ending::Delete => Action::DeleteMessage,
                        _ => Action::ChangeMessageVisibility,
                    },
                    about: About::Unfinished(message, said),
                    error: error.unwrap_or_else(run_out),
                },
            };
            self.troubles.push(trouble);
        }
    }
}

fn run_out() -> Error {
    let detail = "its visibility timeout ran out before it could be extended: the service did not answer in time, or \
                  this process stood still";
    Error::Runtime(detail.into())
}

/// An entry that deletes a message. The handle is JSON.
fn delete(handle: &str) -> Entry {
    let members = format!("\"ReceiptHandle\":{handle}}}");
    Entry { members: members.into_bytes().into(), size: 0, group: None, not_after: None }
}

/// Whether a refusal says that the message is not in flight any more, or not by this receipt handle.
fn is_gone(error: &Error) -> bool {
    const CODES: [&str; 4] =
        ["MessageNotInflight", "ReceiptHandleIsInvalid", "InvalidParameterValue", "InvalidParameterValueException"];
    match error {
        Error::Service(error) => {
            let code = error.code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(&error.code);
            CODES.contains(&code) || CODES.contains(&error.class_name())
        }
        _ => false,
    }
}

/// Failures after which it is worth asking again: the way there, the service's own trouble, too much asked of it or of KMS,
/// credentials that have run out, a source of them that does not answer. Not: no such queue, no access.
pub(super) fn may_pass(error: &Error) -> bool {
    const CODES: [&str; 8] = [
        "OverLimit",
        "KmsThrottled",
        "KMS.ThrottlingException",
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "RequestThrottled",
        "ServiceUnavailable",
    ];
    match error {
        Error::Service(refusal) => {
            let code = refusal.code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(&refusal.code);
            refusal.retry().is_some()
                || refusal.reply.status >= 500
                || CODES.contains(&code)
                || CODES.contains(&refusal.class_name())
        }
        Error::Lost(_) | Error::Credentials { .. } | Error::Source(_) => true,
        Error::Config(_) | Error::NoCredentials | Error::Runtime(_) => false,
    }
}

/// Whether the service says that the credentials have run out.
pub(super) fn is_expired(error: &Error) -> bool {
    const CODES: [&str; 3] = ["ExpiredToken", "ExpiredTokenException", "RequestExpired"];
    matches!(error, Error::Service(refusal) if CODES.contains(&refusal.code.as_str()))
}

/// Where the answer to an act goes.
struct Answered {
    shared: Arc<Shared>,
    id: u64,
    what: What,
    /// When it was asked for.
    sent: Duration,
}

impl Sink<Reply> for Answered {
    fn deliver(self: Box<Self>, answer: Result<Reply, Error>) {
        let shared = Arc::clone(&self.shared);
        shared.answered(&self, answer);
    }
}
