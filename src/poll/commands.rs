//! Deletes and visibility changes, batched, and what their answers mean.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::leases::{Command, CommandKind, Extension, Settled, Told};
use super::{About, BackgroundError, PollerCore, PollerState};
use crate::model::Action;
use crate::protocol::classify::{is_gone, may_pass};
use crate::protocol::entry::{Entry, delete, visibility};
use crate::protocol::error::Error;
use crate::protocol::message::Reply;
use crate::runtime::responder::{Responder, Sink};

/// What is to be entered with the batchers, outside of the lock.
#[derive(Debug, Default)]
pub(super) struct CommandEntries {
    deletes: Vec<(Entry, Responder<Reply>)>,
    changes: Vec<(Entry, Responder<Reply>)>,
}

impl PollerCore {
    /// What the service is asked for, as entries.
    pub(super) fn entries(
        self: &Arc<Self>,
        state: &mut PollerState,
        commands: Vec<Command>,
        now: Duration,
    ) -> CommandEntries {
        let mut entries = CommandEntries::default();
        state.unanswered += commands.len();
        for Command { id, handle, kind, not_after } in commands {
            let answered = Responder::new(CommandSink { shared: Arc::clone(self), id, kind, sent: now });
            let entry = match kind {
                CommandKind::Delete => delete(&handle),
                CommandKind::Visible(seconds) | CommandKind::Extend(seconds) => visibility(&handle, seconds),
            };
            let entry = Entry { not_after: self.moment(not_after), ..entry };
            match kind {
                CommandKind::Delete => entries.deletes.push((entry, answered)),
                CommandKind::Visible(_) | CommandKind::Extend(_) => entries.changes.push((entry, answered)),
            }
        }
        entries
    }

    fn moment(&self, at: Duration) -> Option<Instant> {
        self.began.checked_add(at)
    }

    /// What cannot be entered is told to its callers.
    pub(super) fn enter(&self, entries: CommandEntries) -> Result<(), Error> {
        if !entries.deletes.is_empty() {
            self.deletes.enter_all(entries.deletes)?;
        }
        if !entries.changes.is_empty() {
            self.changes.enter_all(entries.changes)?;
        }
        Ok(())
    }

    fn answered(self: &Arc<Self>, answered: &CommandSink, answer: Result<Reply, Error>) {
        let now = self.now();
        if let Err(error) = &answer {
            self.renew_if_expired(error);
        }
        let mut state = self.lock();
        state.unanswered -= 1;
        // First what has run out by now: an answer that comes after that does not count any more.
        let mut commands = state.leases.tick(now);
        commands.extend(match (answered.kind, answer) {
            (CommandKind::Extend(seconds), answer) => {
                state.counts.extended += u64::from(answer.is_ok());
                state.leases.extended(now, answered.id, extension(answer, answered.sent, seconds))
            }
            (kind, answer) => {
                let settled = match answer {
                    Ok(_) => Settled::Done,
                    Err(error @ Error::Lost(_)) => Settled::Unknown(error),
                    Err(error) if may_pass(&error) => Settled::Failed(error),
                    Err(error) => Settled::Refused(error),
                };
                if matches!(settled, Settled::Done) {
                    match kind {
                        CommandKind::Delete => state.counts.deleted += 1,
                        _ => state.counts.given_back += u64::from(!state.leases.is_taken(answered.id)),
                    }
                }
                state.leases.settled(now, answered.id, settled)
            }
        });
        // What cannot be asked for is told to its callers.
        let _ = self.follow(state, commands);
    }
}

impl PollerState {
    /// What there is to tell of messages goes among the background errors.
    pub(super) fn hear(&mut self) {
        for told in self.leases.told() {
            let background_error = match told {
                Told::Lost(message, error) => BackgroundError {
                    action: Action::ChangeMessageVisibility,
                    about: About::Lost(message),
                    error: error.unwrap_or_else(run_out),
                },
                Told::Failed(message, said, error) => BackgroundError {
                    action: match said {
                        super::Disposition::Delete => Action::DeleteMessage,
                        _ => Action::ChangeMessageVisibility,
                    },
                    about: About::Unfinished(message, said),
                    error: error.unwrap_or_else(run_out),
                },
            };
            self.background_errors.push(background_error);
        }
    }
}

/// What has become of an extension that was asked for at `sent`.
pub(super) fn extension(answer: Result<Reply, Error>, sent: Duration, seconds: u32) -> Extension {
    match answer {
        Ok(_) => Extension::Done(sent, seconds),
        Err(error) if is_gone(&error) => Extension::Gone(error),
        Err(error) => Extension::Failed(error),
    }
}

pub(super) fn run_out() -> Error {
    let detail = "its visibility timeout ran out before it could be extended: the service did not answer in time, or \
                  this process stood still";
    Error::Runtime(detail.into())
}

/// The sink of a command's answer.
struct CommandSink {
    shared: Arc<PollerCore>,
    id: u64,
    kind: CommandKind,
    /// When it was asked for.
    sent: Duration,
}

impl Sink<Reply> for CommandSink {
    fn deliver(self: Box<Self>, answer: Result<Reply, Error>) {
        let shared = Arc::clone(&self.shared);
        shared.answered(&self, answer);
    }
}
