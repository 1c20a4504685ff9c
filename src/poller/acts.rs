//! Deletes and visibility changes, batched, and what their answers mean. The ticker that keeps messages alive.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use bytes::Bytes;

use super::stock::{Act, Ending, Extension, What};
use super::{MAX_UNANSWERED, Phase, Shared, State, Trouble};
use crate::batcher::Entry;
use crate::caller::{Caller, Sink};
use crate::error::Error;
use crate::model::Action;
use crate::receiver::visibility;
use crate::transport::Reply;

impl Shared {
    /// Ask the service for what the stock wants. `ending` is what a taker has said, as opposed to what we think best.
    pub(super) fn act(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        acts: Vec<Act>,
        ending: Option<Ending>,
    ) -> Result<(), Error> {
        if acts.is_empty() {
            return Ok(());
        }
        let now = self.now();
        state.unanswered += acts.len();
        let seconds = u32::try_from(state.stock.visibility().as_secs()).unwrap_or(u32::MAX);
        let (mut deletes, mut changes) = (Vec::new(), Vec::new());
        for Act { id, handle, what } in acts {
            let message = if what == What::Extend { None } else { state.handed.remove(&id) };
            // A message that was never handed over is nobody's concern.
            let about = message.zip(ending.or(ending_of(what)));
            let answered = Caller::new(Answered { shared: Arc::clone(self), id, what, about, now });
            match what {
                What::Delete => deletes.push((delete(&handle), answered)),
                What::Visible(seconds) => changes.push((visibility(&handle, seconds), answered)),
                What::Extend => changes.push((visibility(&handle, seconds), answered)),
            }
        }
        drop(state);
        // What cannot be entered has told so through its caller.
        if !deletes.is_empty() {
            self.deletes.enter_all(deletes)?;
        }
        if !changes.is_empty() {
            self.changes.enter_all(changes)?;
        }
        Ok(())
    }

    /// Keeps what is held alive, for as long as anything is.
    pub(super) async fn tick(self: Arc<Self>) {
        loop {
            let next = {
                let mut state = self.lock();
                let next = state.stock.next_tick();
                if next.is_none() && state.phase == Phase::Closing && state.stock.is_empty() {
                    return;
                }
                state.ticker_rests = next.is_none();
                next
            };
            match next {
                None => self.alarm.notified().await,
                Some(next) => tokio::select! {
                    () = tokio::time::sleep_until((self.began + next).into()) => {}
                    () = self.alarm.notified() => continue,
                },
            }
            let mut state = self.lock();
            let acts = state.stock.tick(self.now());
            let returned = acts.iter().filter(|act| act.what == What::Visible(0)).count();
            if returned > 0 {
                state.flow.deserted();
            }
            // What cannot be asked for is told to the acts' own callers.
            let _ = self.act(state, acts, None);
        }
    }

    fn answered(self: &Arc<Self>, answered: &mut Answered, answer: Result<Reply, Error>) {
        let now = self.now();
        let mut state = self.lock();
        state.unanswered -= 1;
        let mut acts = Vec::new();
        let mut trouble = None;
        match (answered.what, answer) {
            (What::Delete, Ok(_)) => state.counts.deleted += 1,
            (What::Visible(_), Ok(_)) => {
                if answered.about.is_none() {
                    state.counts.given_back += 1;
                }
            }
            (What::Delete | What::Visible(_), Err(error)) => {
                let action = match answered.what {
                    What::Delete => Action::DeleteMessage,
                    _ => Action::ChangeMessageVisibility,
                };
                trouble = answered.about.take().map(|about| Trouble { action, about: Some(about), error });
            }
            (What::Extend, Ok(_)) => {
                state.counts.extended += 1;
                acts = state.stock.extended(now, answered.id, Extension::Done(answered.now));
            }
            (What::Extend, Err(error)) => {
                let extension = if is_gone(&error) { Extension::Gone } else { Extension::Failed };
                acts = state.stock.extended(now, answered.id, extension);
            }
        }
        let troubled = trouble.is_some();
        state.troubles.extend(trouble);
        self.alarm_ticker(&mut state);
        if !acts.is_empty() {
            // As above. Before anybody is told that nothing is under way any more.
            let _ = self.act(state, acts, None);
            state = self.lock();
        }
        let quiet = state.phase == Phase::Closing && state.unanswered == 0;
        let eased = state.unanswered == MAX_UNANSWERED / 2;
        if troubled || quiet || eased {
            self.wake_all(state);
        } else if answered.what == What::Extend {
            self.wake(state);
        } else {
            drop(state);
        }
    }

    /// There is something to look after.
    pub(super) fn alarm_ticker(&self, state: &mut State) {
        if state.ticker_rests && (state.stock.next_tick().is_some() || state.phase == Phase::Closing) {
            state.ticker_rests = false;
            self.alarm.notify_one();
        }
    }
}

fn ending_of(what: What) -> Option<Ending> {
    match what {
        What::Delete => Some(Ending::Delete),
        What::Visible(seconds) => Some(Ending::Visible(seconds)),
        What::Extend => None,
    }
}

/// An entry that deletes a message. The handle is JSON.
fn delete(handle: &str) -> Entry {
    let members = format!("\"ReceiptHandle\":{handle}}}");
    Entry { members: members.into_bytes().into(), size: 0, group: None }
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

/// Where the answer to an act goes.
struct Answered {
    shared: Arc<Shared>,
    id: u64,
    what: What,
    /// The message, and what its taker wanted for it.
    about: Option<(Bytes, Ending)>,
    /// When it was asked for.
    now: Duration,
}

impl Sink<Reply> for Answered {
    fn deliver(mut self: Box<Self>, answer: Result<Reply, Error>) {
        let shared = Arc::clone(&self.shared);
        shared.answered(&mut self, answer);
    }
}
