//! The sending side and shared receives in the same simulated time: a writer whose windows fill up and linger, and callers of
//! ReceiveMessage that share requests, come late and leave early.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::oneshot;

use super::takers::Tell;
use super::world::{Faults, Way, World, messages};
use super::{ms, s};
use crate::config::Batching;
use crate::model::Action;
use crate::protocol::billing::Bill;
use crate::protocol::entry::{Entry, Single};
use crate::protocol::error::Error;
use crate::protocol::message::{Reply, Request};
use crate::receive::call::ReceiveCall;
use crate::receive::receiver::{EnteredReceive, Receivers};
use crate::runtime;
use crate::runtime::responder::{Responder, Sink};
use crate::runtime::simulation::Scheduler;
use crate::send::Limits;
use crate::send::batcher::Batchers;
use crate::send::writer::{WaitFor, Writer};
use crate::stats::Stats;

const LINGER: Duration = Duration::from_millis(2);
const BOUNDS: Batching = Batching { linger: LINGER, max_in_flight: 4, max_waiting: 30, max_waiting_bytes: 1 << 20 };

fn batchers(world: &World) -> Arc<Batchers> {
    let limits = Limits { entries: 10, bytes: 1 << 20, linger: LINGER, max_in_flight: 4, at_once: true };
    Arc::new(Batchers::new(world.transport(), Arc::new(Stats::new()), limits))
}

/// Everything that is put into a writer is answered once, and what was not told as failed is in the queue, whatever is lost
/// or refused on the way; then nothing is left of it.
#[test]
fn what_a_writer_accepts_is_sent() {
    for seed in 0..2_000 {
        Scheduler::run(seed, |scheduler| {
            let mut random = fastrand::Rng::with_seed(seed);
            let polls = Faults::default();
            let deletes = match random.u8(..4) {
                0 => Faults::default(),
                1 => Faults { throttled: random.u64(..400), ..Faults::default() },
                2 => Faults { lost: random.u64(..400), unanswered: random.u64(..200), ..Faults::default() },
                _ => Faults { late: random.u64(..2_000), ..Faults::default() },
            };
            let lossy = deletes.lost + deletes.unanswered > 0;
            let way = Way { latency: random.u64(1..100), polls, extensions: Faults::default(), deletes };
            let groups = if random.bool() { random.u64(1..4) } else { 0 };
            let world = World::new(scheduler, seed, if groups > 0 { "q.fifo" } else { "q" }, 30, way);
            let queue = serde_json::to_vec(&world.url()).unwrap();
            let writer = Arc::new(Writer::new(batchers(&world), Arc::default(), queue, BOUNDS));
            let count = random.u64(1..150);
            let failed = Arc::new(Mutex::new(Vec::new()));
            let done = Arc::new(Mutex::new(false));
            let (task, failures, ended) = (Arc::clone(&writer), Arc::clone(&failed), Arc::clone(&done));
            runtime::handle().unwrap().spawn(async move {
                for number in 0..count {
                    let mut entry = entry(number, groups, &mut random);
                    while let Some(back) = task.put(Single::SendMessage, entry).unwrap() {
                        let (tell, told) = oneshot::channel();
                        task.tell(WaitFor::Room(back.members.len()), Responder::new(Tell(tell))).unwrap();
                        told.await.unwrap();
                        entry = back;
                    }
                    if random.u8(..5) == 0 {
                        runtime::sleep(ms(random.u64(..300))).await;
                    }
                }
                let (tell, told) = oneshot::channel();
                task.tell(WaitFor::Answers, Responder::new(Tell(tell))).unwrap();
                told.await.unwrap();
                failures.lock().unwrap().extend(task.take_failures().into_iter().map(|failure| failure.position));
                *ended.lock().unwrap() = true;
            });
            scheduler.advance(s(600), || {});
            assert!(*done.lock().unwrap(), "seed {seed}: not everything is answered: {:?}", writer.progress());
            assert_eq!((writer.progress(), scheduler.tasks()), ((count, count), 0), "seed {seed}");
            let mut copies = vec![0; usize::try_from(count).unwrap()];
            for body in world.lock().sqs.bodies(world.now()) {
                copies[body.parse::<usize>().unwrap()] += 1;
            }
            let failed = failed.lock().unwrap();
            for (number, copies) in copies.iter().enumerate() {
                let told = failed.contains(&(number as u64));
                assert!(told || *copies > 0, "seed {seed}: {number} is lost");
                assert!(*copies < 2 || lossy, "seed {seed}: {number} was sent {copies} times");
                assert!(!told || lossy || *copies == 0, "seed {seed}: {number} is told as failed, and sent");
            }
        });
    }
}

fn entry(number: u64, groups: u64, random: &mut fastrand::Rng) -> Entry {
    let group = (groups > 0).then(|| format!("g{}", random.u64(..groups)));
    let members = match &group {
        None => format!("\"MessageBody\":\"{number}\"}}"),
        Some(group) => format!(
            "\"MessageBody\":\"{number}\",\"MessageGroupId\":\"{group}\",\"MessageDeduplicationId\":\"{number}\"}}"
        ),
    };
    Entry {
        members: members.into_bytes().into(),
        size: 3,
        group: group.map(Into::into),
        not_after: None,
        trace: None,
        tag: 0,
    }
}

/// A batch is given up when the time of its first entry is over; the others are asked for as long as there is time for them.
#[test]
fn an_entry_whose_time_is_over_does_not_take_the_others_along() {
    Scheduler::run(1, |scheduler| {
        let deletes = Faults { lost: 1_000, ..Faults::default() };
        let world = World::new(scheduler, 1, "q", 30, Way { latency: 20, deletes, ..Way::default() });
        let queue = serde_json::to_vec(&world.url()).unwrap();
        let answers = Answers::default();
        let entries = [ms(30), ms(70), s(10)].into_iter().enumerate().map(|(responder, time)| {
            let not_after = Some(runtime::now() + time);
            let entry = Entry { not_after, ..entry(responder as u64, 0, &mut fastrand::Rng::with_seed(1)) };
            (entry, Responder::new(Answered { responder, world: world.clone(), answers: Arc::clone(&answers) }))
        });
        batchers(&world).of(Single::SendMessage, &queue).enter_all(entries.collect()).unwrap();
        scheduler.advance(ms(100), || {});
        world.lock().way.deletes.lost = 0;
        scheduler.advance(s(5), || {});
        assert_eq!(world.lock().sqs.bodies(world.now()), ["2"]);
        let times: Vec<u64> = answers.lock().unwrap().values().map(|(at, _)| *at).collect();
        assert_eq!(times, [60, 120, 160], "each is answered when its time is over, or it is done");
    });
}

/// What a caller of ReceiveMessage has had, and when.
type Answers = Arc<Mutex<BTreeMap<usize, (u64, Vec<String>)>>>;

struct Answered {
    responder: usize,
    world: World,
    answers: Answers,
}

impl Sink<Reply> for Answered {
    fn deliver(self: Box<Self>, answer: Result<Reply, Error>) {
        let bodies = answer.map(|reply| messages(&reply.body)).unwrap_or_default();
        let bodies = bodies.into_iter().map(|(_, body, _)| body).collect();
        let before = self.answers.lock().unwrap().insert(self.responder, (self.world.now(), bodies));
        assert!(before.is_none(), "answered twice");
    }
}

/// Callers that share requests get no more than they asked for, wait no longer than they said, and nothing that comes for one
/// who has left is kept from the others.
#[test]
fn callers_that_share_receives_are_served_in_time() {
    for seed in 0..2_000 {
        Scheduler::run(seed, |scheduler| {
            let mut random = fastrand::Rng::with_seed(seed);
            let way = Way { latency: random.u64(1..60), ..Way::default() };
            let world = World::new(scheduler, seed, "q", 600, way.clone());
            let batchers = batchers(&world);
            let receivers = Arc::new(Receivers::new(world.transport(), batchers, Arc::new(Stats::new()), LINGER));
            let answers = Answers::default();
            let mut callers = Vec::new();
            for responder in 0..random.usize(1..25) {
                let (want, wait) = (random.usize(1..=10), random.u64(1..=20));
                let (at, leaves) = (ms(random.u64(..5_000)), random.u8(..4) == 0);
                let gone = at + ms(random.u64(..20_000));
                callers.push((want, wait, at, leaves));
                let (receivers, world, answers) = (Arc::clone(&receivers), world.clone(), Arc::clone(&answers));
                runtime::handle().unwrap().spawn(async move {
                    runtime::sleep(at).await;
                    let members =
                        json!({"QueueUrl": world.url(), "MaxNumberOfMessages": want, "WaitTimeSeconds": wait});
                    let body = Bytes::from(members.to_string());
                    let long_poll = s(wait);
                    let action = Action::ReceiveMessage;
                    let bill = Bill::default();
                    let request = Request { action, body, long_poll, attempts: 0, not_after: None, trace: None, bill };
                    let call = ReceiveCall::of(&request).unwrap();
                    let sink = Answered { responder, world, answers };
                    let received = receivers.enter(vec![(call, request, Responder::new(sink))]).unwrap();
                    if leaves {
                        runtime::sleep(gone.saturating_sub(at)).await;
                        received.iter().for_each(EnteredReceive::leave);
                    }
                });
            }
            let sent = random.usize(..60);
            for _ in 0..sent {
                world.send_after(ms(random.u64(..15_000)), 1, 0);
            }
            scheduler.advance(s(60), || {});
            assert_eq!(scheduler.tasks(), 0, "seed {seed}: something is left");
            let answers = answers.lock().unwrap();
            let mut had = Vec::new();
            for (responder, (want, wait, at, leaves)) in callers.iter().enumerate() {
                let Some((when, bodies)) = answers.get(&responder) else {
                    panic!("seed {seed}: {responder} has no answer")
                };
                // A request waits for whole seconds: with less than one left there is nothing to ask for.
                // And one who gets nothing of the last reply, when there was something for others, asks once more.
                let limit = *at + s(*wait) + 2 * way.round_trip() + LINGER + ms(20);
                assert!(ms(*when) <= limit, "seed {seed}: {responder} waited until {when} ms, not {limit:?}");
                assert!(bodies.len() <= *want, "seed {seed}: {responder} asked for {want}");
                if !leaves || !bodies.is_empty() {
                    had.extend(bodies.iter().cloned());
                }
            }
            let count = had.len();
            had.sort_unstable();
            had.dedup();
            assert_eq!(had.len(), count, "seed {seed}: a message had by two");
            let (visible, in_flight, _) = world.lock().sqs.counts(world.now());
            assert_eq!(visible + in_flight, sent);
            // What is on its way when a request is broken off comes back when its time is over.
            let stranded = world.lock().stranded.len();
            assert_eq!(in_flight, count + stranded, "seed {seed}: what nobody has is visible");
        });
    }
}
