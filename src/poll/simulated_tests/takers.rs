//! Takers as tasks: threads, which park, or workers of an event loop, which are told; and what is known of their work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::oneshot;

use super::world::World;
use crate::poll::{About, Delivery, Disposition, Parked, Poller, Take};
use crate::protocol::error::Error;
use crate::runtime;
use crate::runtime::responder::{Responder, Sink};

/// What a handler does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Handler {
    Takes(Duration),
    /// It raises after so long, and wants the message to come again after so many seconds.
    Fails(Duration, Option<u32>),
    NeverEnds,
}

/// What is known of the takers' work.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Being handled: body, and how many handlers have it of which no loss was told.
    pub handling: BTreeMap<String, u32>,
    /// The handles of what is being handled.
    pub handles: BTreeSet<String>,
    /// Handled to the end, and not told as undeleted since; and the handle.
    pub handled: BTreeMap<String, String>,
    pub handed_over: u64,
    pub lost: u64,
    pub undone: u64,
    pub polls_failed: u64,
    /// Handed over before.
    pub in_hand: BTreeSet<String>,
    /// Lost, failed, or not deleted: these may come again, behind their successors.
    pub again: BTreeSet<String>,
    pub last_of_group: BTreeMap<String, u64>,
    pub ended: usize,
}

pub(super) type PollerCore = Arc<Mutex<Work>>;

/// One who waits to be told.
pub(super) struct Tell(pub oneshot::Sender<()>);

impl Sink<()> for Tell {
    fn deliver(self: Box<Self>, _: Result<(), Error>) {
        // One who does not wait any more has nothing to hear.
        let _ = self.0.send(());
    }
}

#[derive(Clone)]
pub(super) struct Taker {
    pub poller: Arc<Poller>,
    pub world: World,
    pub work: PollerCore,
    /// A worker of an event loop, or a thread.
    pub told: bool,
    /// Whether it says what becomes of its messages.
    pub finishes: bool,
    pub handlers: Arc<Mutex<dyn FnMut() -> Handler + Send>>,
}

impl Taker {
    pub(super) async fn run(self) {
        loop {
            match self.next().await {
                Take::Messages(messages) => {
                    for message in &messages {
                        self.begins(message);
                    }
                    for message in messages {
                        self.handle(message).await;
                    }
                }
                Take::BackgroundErrors(background_errors) => {
                    let mut work = self.lock();
                    for background_error in background_errors {
                        if std::env::var_os("TURBOSQS_TRACE").is_some() {
                            println!("{}: {background_error:?}", self.world.now());
                        }
                        match background_error.about {
                            About::Nothing => work.polls_failed += 1,
                            About::Lost(json) => {
                                work.lost += 1;
                                let (handle, body, _) = parse(&json);
                                work.handled.remove(&body);
                                // Its handler may have ended meanwhile.
                                if work.handles.remove(&handle) {
                                    forget(&mut work, &body);
                                }
                                work.again.insert(body);
                            }
                            About::Unfinished(json, _) => {
                                work.undone += 1;
                                let body = parse(&json).1;
                                work.handled.remove(&body);
                                work.again.insert(body);
                            }
                        }
                    }
                }
                Take::Nothing => {}
                Take::Ended(_) => {
                    self.lock().ended += 1;
                    return;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap()
    }

    async fn next(&self) -> Take {
        let (tell, told) = oneshot::channel();
        let responder = Responder::new(Tell(tell));
        if self.told {
            match self.poller.take().unwrap() {
                Take::Nothing => {}
                found => return found,
            }
            self.poller.notify(1, responder).unwrap();
            let _ = told.await;
            return Take::Nothing;
        }
        match self.poller.park(responder).unwrap() {
            Parked::Found(found) => found,
            Parked::Waits(place) => {
                let _ = told.await;
                self.poller.unpark(place).unwrap()
            }
        }
    }

    /// One message, one handler at a time, in order, and not when it is somebody else's.
    fn begins(&self, message: &Delivery) {
        let (handle, body, group) = parse(&message.json);
        let now = self.world.now();
        let mut work = self.lock();
        work.handed_over += 1;
        if std::env::var_os("TURBOSQS_TRACE").is_some() {
            println!("{now}: {body} begins, {}", message.id);
        }
        {
            let mut state = self.world.lock();
            if !state.was_late && !state.unknown.contains(&handle) {
                let standing = state.sqs.standing(&handle, now);
                let ours = matches!(standing, crate::local::simulated::Standing::Ours(_));
                assert!(ours, "{body} is handed over at {now} ms when it is {standing:?}");
            }
        }
        if self.finishes {
            let late = self.world.lock().was_late;
            assert!(late || !work.handling.contains_key(&body), "{body} is with two handlers, at {now} ms");
            // Its lease may have run out while the delete was under way.
            let ran_out = |handle: &String| {
                let handle = serde_json::to_string(handle).unwrap();
                let held = self.poller.shared.lock().leases.held();
                held.iter().any(|held| *held.handle == *handle && held.ends && held.expires <= super::ms(now))
            };
            let twice = work.handled.get(&body).is_some_and(|handle| !ran_out(handle));
            assert!(late || !twice, "{body} is handled twice, at {now} ms");
            *work.handling.entry(body.clone()).or_default() += 1;
            work.handles.insert(handle.clone());
        }
        work.in_hand.insert(handle.clone());
        if let Some(group) = group {
            let number: u64 = body.parse().unwrap();
            // What its taker does not finish comes again, and its group with it.
            let again = work.again.remove(&body)
                || !self.finishes && work.handled.insert(body.clone(), handle.clone()).is_some();
            let last = work.last_of_group.insert(group, number);
            let late = self.world.lock().was_late;
            assert!(late || again || last.is_none_or(|last| last < number), "{body} comes after {last:?}, at {now} ms");
        }
    }

    async fn handle(&self, message: Delivery) {
        let handler = (*self.handlers.lock().unwrap())();
        let (time, disposition) = match handler {
            Handler::Takes(time) => (time, Disposition::Delete),
            Handler::Fails(time, None) => (time, Disposition::Leave),
            Handler::Fails(time, Some(seconds)) => (time, Disposition::Visible(seconds)),
            Handler::NeverEnds => (Duration::from_secs(200_000_000), Disposition::Leave),
        };
        runtime::sleep(time).await;
        if !self.finishes {
            return;
        }
        let (handle, body, _) = parse(&message.json);
        {
            let mut work = self.lock();
            let ours = work.handles.remove(&handle);
            if ours {
                forget(&mut work, &body);
                if disposition == Disposition::Delete {
                    work.handled.insert(body, handle);
                } else {
                    work.again.insert(body);
                }
            }
        }
        if std::env::var_os("TURBOSQS_TRACE").is_some() {
            println!("{}: {} ends, {disposition:?}", self.world.now(), message.id);
        }
        self.poller.finish(message.id, disposition).unwrap();
    }
}

fn forget(work: &mut Work, body: &str) {
    if let Some(handlers) = work.handling.get_mut(body) {
        *handlers -= 1;
        if *handlers == 0 {
            work.handling.remove(body);
        }
    }
}

pub(super) fn parse(json: &[u8]) -> (String, String, Option<String>) {
    let one = [br#"{"Messages":["#, json, b"]}"].concat();
    super::world::messages(&one).pop().unwrap()
}
