//! Takers as tasks: threads, which park, or workers of an event loop, which are told; and what is known of their work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::oneshot;

use super::ms;
use super::world::World;
use crate::client::Resources;
use crate::local::simulated::Standing;
use crate::poll::poller::Parked;
use crate::poll::{About, BackgroundError, Delivery, Disposition, Poller, Take};
use crate::protocol::entry::{Single, visibility};
use crate::protocol::error::Error;
use crate::protocol::message::Reply;
use crate::runtime;
use crate::runtime::responder::{Responder, Sink};

/// What a handler does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Handler {
    Takes(Duration),
    /// It raises after so long, and wants the message to come again after so many seconds.
    Fails(Duration, Option<u32>),
    /// It changes its message's visibility timeout by itself, works on for so long, and returns or raises.
    Changes {
        after: Duration,
        seconds: u32,
        then: Duration,
        raises: bool,
    },
    NeverEnds,
}

/// What is known of the takers' work, of all pollers.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Being handled: poller and body, and how many handlers have it of which no loss was told.
    pub(crate) handling: BTreeMap<(usize, String), u32>,
    /// The handles of what is being handled.
    pub handles: BTreeSet<String>,
    /// Handled to the end, and not told as undeleted since; and the handle.
    pub handled: BTreeMap<String, String>,
    pub handed_over: u64,
    pub lost: u64,
    pub undone: u64,
    pub polls_failed: u64,
    /// How often handlers have changed a visibility timeout by themselves.
    pub(crate) own_changes: u64,
    /// Handed over before.
    pub in_hand: BTreeSet<String>,
    /// Lost, failed, or not deleted: these may come again, behind their successors.
    pub again: BTreeSet<String>,
    pub last_of_group: BTreeMap<String, u64>,
    pub ended: usize,
}

pub(crate) type SharedWork = Arc<Mutex<Work>>;

/// One who waits to be told.
pub(super) struct Tell(pub oneshot::Sender<()>);

impl Sink<()> for Tell {
    fn deliver(self: Box<Self>, _: Result<(), Error>) {
        // One who does not wait any more has nothing to hear.
        let _ = self.0.send(());
    }
}

/// A handler that does not read what its call has come to.
struct Unread;

impl Sink<Reply> for Unread {
    fn deliver(self: Box<Self>, _: Result<Reply, Error>) {}
}

/// One of the pollers, and who looks after it.
#[derive(Clone)]
pub(crate) struct Own {
    /// Which of the pollers it is.
    pub(crate) number: usize,
    pub poller: Arc<Poller>,
    /// The client that it belongs to.
    pub(crate) resources: Arc<Resources>,
}

#[derive(Clone)]
pub(super) struct Taker {
    pub(crate) own: Own,
    pub(crate) all: Arc<Vec<Own>>,
    pub world: World,
    pub(crate) work: SharedWork,
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
                Take::BackgroundErrors(background_errors) => self.hear(background_errors),
                Take::Nothing => {}
                Take::Ended(_) => {
                    self.lock().ended += 1;
                    return;
                }
            }
        }
    }

    /// Hears what there is to tell even while all takers are busy, as a consumer's watcher does.
    pub(crate) async fn watch(self) {
        while !self.own.poller.is_abandoned().unwrap() {
            let (tell, told) = oneshot::channel();
            self.own.poller.watch(Responder::new(Tell(tell))).unwrap();
            let _ = told.await;
            self.hear(self.own.poller.background_errors().unwrap());
        }
    }

    fn hear(&self, background_errors: Vec<BackgroundError>) {
        let mut work = self.lock();
        for background_error in background_errors {
            self.world.trace(|| format!("{background_error:?}"));
            match background_error.about {
                About::Nothing => work.polls_failed += 1,
                About::Lost(json) => {
                    work.lost += 1;
                    let (handle, body, _) = parse(&json);
                    work.handled.remove(&body);
                    // Its handler may have ended meanwhile.
                    if work.handles.remove(&handle) {
                        self.forget(&mut work, &body);
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

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap()
    }

    async fn next(&self) -> Take {
        let poller = &self.own.poller;
        let (tell, told) = oneshot::channel();
        let responder = Responder::new(Tell(tell));
        if self.told {
            match poller.take().unwrap() {
                Take::Nothing => {}
                found => return found,
            }
            poller.notify(1, responder).unwrap();
            let _ = told.await;
            return Take::Nothing;
        }
        match poller.park(responder).unwrap() {
            Parked::Found(found) => found,
            Parked::Waits(place) => {
                let _ = told.await;
                poller.unpark(place).unwrap()
            }
        }
    }

    /// One message, one handler at a time, in order, and not when it is somebody else's.
    fn begins(&self, message: &Delivery) {
        let (handle, body, group) = parse(&message.json);
        let now = self.world.now();
        // What another poller has lost at this very moment it may not have told yet.
        let untold = self.all.iter().any(|other| !other.poller.own().unwrap().lock().background_errors.is_empty());
        let mut work = self.lock();
        work.handed_over += 1;
        self.world.trace(|| format!("{body} begins, {} of poller {}", message.id, self.own.number));
        let excused = {
            let mut world = self.world.lock();
            let released = world.is_released(&body, now);
            let standing = world.sqs.standing(&handle, now);
            // A delete that has left in time may arrive when the message has been received again.
            let deleted = standing == Standing::Deleted && world.deletes_message(&body);
            if !world.was_late && !world.unknown.contains(&handle) && !released && !deleted {
                let ours = matches!(standing, Standing::Ours(_));
                assert!(ours, "{body} is handed over at {now} ms when it is {standing:?}");
            }
            world.was_late || released || untold || deleted
        };
        // Its lease may have run out while the delete was under way.
        let ran_out = |handle: &String| {
            let handle = serde_json::to_string(handle).unwrap();
            let ends = |other: &Own| {
                let held = other.poller.own().unwrap().lock().leases.held();
                held.iter().any(|held| *held.handle == *handle && held.ends && held.expires <= ms(now))
            };
            self.all.iter().any(ends)
        };
        if self.finishes {
            let place = (self.own.number, body.clone());
            assert!(excused || !work.handling.contains_key(&place), "{body} is with two handlers, at {now} ms");
            for other in &*self.all {
                let kept = self.kept(other, &handle, &body, &work.handles);
                assert!(excused || !kept, "{body} is with two handlers, of two pollers, at {now} ms");
            }
            let twice = work.handled.get(&body).is_some_and(|handle| !ran_out(handle));
            assert!(excused || !twice, "{body} is handled twice, at {now} ms");
            *work.handling.entry(place).or_default() += 1;
            work.handles.insert(handle.clone());
        }
        work.in_hand.insert(handle.clone());
        if let Some(group) = group {
            let number: u64 = body.parse().unwrap();
            // What its taker does not finish comes again, and its group with it.
            let again = work.again.remove(&body)
                || work.handled.get(&body).is_some_and(ran_out)
                || self.has_lapsed(&body)
                || !self.finishes && work.handled.insert(body.clone(), handle.clone()).is_some();
            let last = work.last_of_group.insert(group, number);
            let in_order = last.is_none_or(|last| last < number);
            assert!(excused || again || in_order, "{body} comes after {last:?}, at {now} ms");
        }
    }

    /// Whether the lease of this message has run out in a poller that has not looked since: the process stood still.
    fn has_lapsed(&self, body: &str) -> bool {
        let now = ms(self.world.now());
        let lapsed = |other: &Own| {
            let held = other.poller.own().unwrap().lock().leases.held();
            held.iter().filter(|held| held.expires <= now).any(|held| {
                let handle: String = serde_json::from_str(&held.handle).unwrap();
                self.world.lock().received.get(&handle).is_some_and(|other| other == body)
            })
        };
        self.all.iter().any(lapsed)
    }

    /// Whether a handler of another poller is at this message, which that poller believes to be its own, and rightly: what its
    /// handler has asked for by itself may not have got there yet.
    fn kept(&self, other: &Own, handle: &str, body: &str, handles: &BTreeSet<String>) -> bool {
        if other.number == self.own.number {
            return false;
        }
        let now = ms(self.world.now());
        let held = other.poller.own().unwrap().lock().leases.held();
        held.iter().filter(|held| !held.ends && held.expires > now).any(|held| {
            let theirs: String = serde_json::from_str(&held.handle).unwrap();
            let world = self.world.lock();
            let same = world.received.get(&theirs).is_some_and(|other| other == body);
            same && theirs != handle && handles.contains(&theirs) && !world.is_changing(&theirs)
        })
    }

    async fn handle(&self, message: Delivery) {
        let handler = (*self.handlers.lock().unwrap())();
        let (time, disposition) = match handler {
            Handler::Takes(time) => (time, Disposition::Delete),
            Handler::Fails(time, None) => (time, Disposition::Leave),
            Handler::Fails(time, Some(seconds)) => (time, Disposition::Visible(seconds)),
            Handler::Changes { after, seconds, then, raises } => {
                runtime::sleep(after).await;
                self.changes(&message, seconds);
                (then, if raises { Disposition::Visible(0) } else { Disposition::Delete })
            }
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
                self.forget(&mut work, &body);
                if disposition == Disposition::Delete {
                    work.handled.insert(body, handle);
                } else {
                    work.again.insert(body);
                }
            }
        }
        self.world.trace(|| format!("{} ends, {disposition:?}", message.id));
        self.own.poller.finish(message.id, disposition).unwrap();
    }

    /// The handler calls `change_message_visibility`, unless it knows that its message is lost.
    fn changes(&self, message: &Delivery, seconds: u32) {
        let (handle, body, _) = parse(&message.json);
        let json = serde_json::to_string(&handle).unwrap();
        let soon = ms(self.world.now()) + self.world.lock().way.round_trip();
        let held = self.own.poller.own().unwrap().lock().leases.held();
        if !held.iter().any(|held| *held.handle == *json && held.expires > soon) {
            return;
        }
        self.world.trace(|| format!("{} is to be visible after {seconds} s, its handler says", message.id));
        self.world.note_own_change(&handle, &body, seconds);
        let mut work = self.lock();
        work.own_changes += 1;
        work.again.insert(body);
        drop(work);
        let (action, entry) = (Single::ChangeMessageVisibility, visibility(&json, seconds));
        let queue = serde_json::to_vec(&self.world.url()).unwrap();
        // As `Client::begin` does.
        self.own.resources.pollers.note_entry(action, &entry);
        self.own.resources.batchers.of(action, &queue).enter(entry, Responder::new(Unread)).unwrap();
    }

    fn forget(&self, work: &mut Work, body: &str) {
        let place = (self.own.number, body.to_owned());
        if let Some(handlers) = work.handling.get_mut(&place) {
            *handlers -= 1;
            if *handlers == 0 {
                work.handling.remove(&place);
            }
        }
    }
}

pub(super) fn parse(json: &[u8]) -> (String, String, Option<String>) {
    let one = [br#"{"Messages":["#, json, b"]}"].concat();
    super::world::messages(&one).pop().unwrap()
}
