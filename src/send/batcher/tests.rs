//! The driver over a transport that does what the test says.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::Action;
use crate::runtime::responder::PendingResponse;
use crate::send::Limits;
use crate::transport::scripted::{MAX_ATTEMPTS, Scripted, TIMEOUT, bodies, echo, lost, refusal, reply};

struct Bench {
    transport: Arc<Scripted>,
    batchers: Batchers,
    stats: Arc<Stats>,
}

impl Bench {
    fn new(gated: bool, script: impl Fn(Action, &Value) -> Result<Reply, Error> + Send + Sync + 'static) -> Bench {
        Bench::with(Limits { linger: Duration::from_secs(3600), ..LIMITS }, gated, script)
    }

    fn with(
        limits: Limits,
        gated: bool,
        script: impl Fn(Action, &Value) -> Result<Reply, Error> + Send + Sync + 'static,
    ) -> Bench {
        let transport = Scripted::new(gated, script);
        let stats = Arc::new(Stats::new());
        let batchers = Batchers::new(transport.transport(), Arc::clone(&stats), limits);
        Bench { transport, batchers, stats }
    }

    fn batcher(&self) -> Arc<Batcher> {
        self.batchers.of(Single::SendMessage, b"\"q\"")
    }

    fn send(&self, body: &str) -> (PendingResponse<Reply>, Entered) {
        enter(&self.batcher(), body, None)
    }

    fn arrival(&self) {
        self.transport.arrival();
    }

    fn let_through(&self, requests: usize) {
        self.transport.let_through(requests);
    }

    fn seen(&self) -> Vec<Vec<String>> {
        self.transport.seen_bodies()
    }
}

const LIMITS: Limits =
    Limits { entries: 10, bytes: 1 << 20, linger: Duration::from_millis(1), max_in_flight: 4, at_once: true };

fn enter(batcher: &Arc<Batcher>, body: &str, group: Option<&str>) -> (PendingResponse<Reply>, Entered) {
    let (pending, responder) = PendingResponse::new();
    let entered = batcher.enter(entry(body, group), responder).unwrap();
    (pending, entered)
}

fn entry(body: &str, group: Option<&str>) -> Entry {
    let members = match group {
        None => format!(r#""MessageBody":"{body}"}}"#),
        Some(group) => format!(r#""MessageBody":"{body}","MessageGroupId":"{group}"}}"#),
    };
    Entry {
        members: members.into_bytes().into(),
        size: body.len(),
        group: group.map(Into::into),
        not_after: None,
        trace: None,
        tag: 0,
    }
}

fn answer(pending: &PendingResponse<Reply>) -> Result<String, Error> {
    let reply = pending.wait_for(TIMEOUT).expect("never answered")?;
    Ok(String::from_utf8(reply.body.to_vec()).unwrap())
}

/// The message that a reply is about.
fn echoed(pending: &PendingResponse<Reply>) -> String {
    let reply: Value = serde_json::from_str(&answer(pending).unwrap()).unwrap();
    reply["MessageId"].as_str().unwrap().to_owned()
}

fn code(pending: &PendingResponse<Reply>) -> String {
    match answer(pending) {
        Err(Error::Service(error)) => error.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lone_entry_travels_as_the_plain_operation() {
    let bench = Bench::new(false, echo);
    let (pending, _) = bench.send("one");
    assert_eq!(echoed(&pending), "one");
    let seen = bench.transport.seen.lock().unwrap();
    assert_eq!(*seen, [(Action::SendMessage, json!({"QueueUrl": "q", "MessageBody": "one"}))]);
}

#[test]
fn those_who_come_while_a_request_is_out_share_the_next_and_each_gets_its_part() {
    let bench = Bench::new(true, echo);
    let first = bench.send("first");
    bench.arrival();
    let rest: Vec<_> = (0..13).map(|number| bench.send(&format!("m{number}"))).collect();
    bench.arrival();
    bench.let_through(3);
    assert_eq!(echoed(&first.0), "first");
    for (number, (pending, _)) in rest.iter().enumerate() {
        // The reply names them in another order, by their Ids.
        assert_eq!(echoed(pending), format!("m{number}"));
    }
    let sizes: Vec<usize> = bench.seen().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 10, 3]);
    let snapshot = bench.stats.snapshot();
    assert_eq!(snapshot.messages, [("SendMessage", 14)]);
    assert_eq!(snapshot.flushes, [("idle", 1), ("full", 1), ("returned", 1)]);
}

#[test]
fn nobody_waits_longer_than_the_linger() {
    let bench = Bench::with(LIMITS, true, echo);
    let _first = bench.send("first");
    bench.arrival();
    let second = bench.send("second");
    // The first is still out: only the timer can have sent the second.
    bench.arrival();
    bench.let_through(2);
    assert_eq!(echoed(&second.0), "second");
    assert_eq!(bench.stats.snapshot().flushes, [("idle", 1), ("linger", 1)]);
}

/// A first request that holds the window, then these together.
fn together(bench: &Bench, messages: &[&str]) -> Vec<PendingResponse<Reply>> {
    let first = bench.send("first");
    bench.arrival();
    let rest = messages.iter().map(|body| bench.send(body).0).collect();
    bench.let_through(1000);
    let _ = answer(&first.0);
    rest
}

/// A batch's reply: what is done, and what is refused as the sender's fault.
fn parts(barrier: &[usize], refused: &[usize]) -> Result<Reply, Error> {
    let id = |id: &usize| id.to_string();
    reply(&json!({
        "Successful": barrier.iter().map(|place| json!({"Id": id(place)})).collect::<Vec<_>>(),
        "Failed": refused
            .iter()
            .map(|place| json!({"Id": id(place), "SenderFault": true, "Code": "InBatchesWords", "Message": "of 1"}))
            .collect::<Vec<_>>(),
    }))
}

#[test]
fn an_entry_at_fault_is_asked_for_once_more_alone_and_told_what_that_says() {
    let bench = Bench::new(true, |action, request| match action {
        Action::SendMessage if bodies(request) == ["b"] => refusal(400, "InItsOwnWords"),
        Action::SendMessage => echo(action, request),
        _ => parts(&[0, 2], &[1]),
    });
    let pending = together(&bench, &["a", "b", "c"]);
    assert_eq!(answer(&pending[0]).unwrap(), r#"{"Id":"0"}"#);
    assert_eq!(code(&pending[1]), "InItsOwnWords");
    assert_eq!(answer(&pending[2]).unwrap(), r#"{"Id":"2"}"#);
    assert_eq!(bench.seen()[1..], [vec!["a", "b", "c"], vec!["b"]], "once, and nobody else");
    assert_eq!(bench.stats.snapshot().flushes.last(), Some(&("solo", 1)));
    assert_eq!((bench.stats.snapshot().retries, bench.transport.retries.load(Ordering::Relaxed)), (0, 0));
}

/// Alone it might be taken, and would then stand behind its successor.
#[test]
fn an_entry_at_fault_whose_successor_was_taken_is_not_asked_for_again() {
    let bench = Bench::new(true, |action, request| match action {
        Action::SendMessage => echo(action, request),
        _ => parts(&[1, 2], &[0, 3]),
    });
    let batcher = bench.batchers.of(Single::SendMessage, b"\"q.fifo\"");
    let first = enter(&batcher, "first", Some("x"));
    bench.arrival();
    let entries = [("a0", "a"), ("a1", "a"), ("b0", "b"), ("b1", "b")];
    let pending = entries.map(|(body, group)| enter(&batcher, body, Some(group)));
    bench.let_through(1000);
    assert!(answer(&first.0).is_ok());
    assert_eq!(code(&pending[0].0), "InBatchesWords");
    assert!(answer(&pending[1].0).is_ok() && answer(&pending[2].0).is_ok());
    assert_eq!(echoed(&pending[3].0), "b1", "the last of its group loses nothing by another try");
}

/// One of a group rests before another try; an entry at fault of the same group does not overtake it, one of another group
/// does not wait for it.
#[test]
fn an_entry_at_fault_waits_for_a_retry_of_its_own_group_alone() {
    let bench = Bench::new(true, |action, request| match action {
        Action::SendMessage => echo(action, request),
        _ => reply(&json!({"Failed": [
            {"Id": "0", "SenderFault": false, "Code": "InternalError"},
            {"Id": "1", "SenderFault": true, "Code": "Bad"},
            {"Id": "2", "SenderFault": true, "Code": "Bad"},
        ]})),
    });
    *bench.transport.rest.lock().unwrap() = Duration::from_secs(3600);
    let batcher = bench.batchers.of(Single::SendMessage, b"\"q.fifo\"");
    let first = enter(&batcher, "first", Some("x"));
    bench.arrival();
    let pending = [("a0", "a"), ("a1", "a"), ("b0", "b")].map(|(body, group)| enter(&batcher, body, Some(group)));
    bench.let_through(1000);
    assert!(answer(&first.0).is_ok());
    assert_eq!(echoed(&pending[2].0), "b0");
    let later = enter(&batcher, "a2", Some("a"));
    pending[0].1.withdraw();
    assert_eq!(bench.seen().len(), 3, "a1 rests with a0, and a2 behind them");
    pending[1].1.withdraw();
    assert_eq!(echoed(&later.0), "a2");
}

#[test]
fn the_services_own_fault_is_asked_for_again_until_the_attempts_are_used_up() {
    let bench = Bench::new(true, |action, request| {
        let bodies = bodies(request);
        if bodies == ["never"] {
            // Alone by now, and so as the plain operation, with the transport's own retries.
            return refusal(500, "InternalError");
        }
        if action == Action::SendMessage {
            return echo(action, request);
        }
        let fault = |id: usize| json!({"Id": id.to_string(), "SenderFault": false, "Code": "InternalError"});
        let failed: Vec<_> =
            bodies.iter().enumerate().filter(|(_, body)| *body != "fine").map(|(id, _)| fault(id)).collect();
        let fine: Vec<_> = bodies
            .iter()
            .enumerate()
            .filter(|(_, body)| *body == "fine")
            .map(|(id, _)| json!({"Id": id.to_string()}))
            .collect();
        reply(&json!({"Successful": fine, "Failed": failed}))
    });
    let pending = together(&bench, &["never", "fine", "nor this"]);
    assert!(answer(&pending[1]).is_ok());
    for unlucky in [&pending[0], &pending[2]] {
        match answer(unlucky) {
            Err(Error::Service(error)) => {
                assert_eq!((error.code.as_str(), error.reply.attempts), ("InternalError", MAX_ATTEMPTS));
            }
            other => panic!("{other:?}"),
        }
    }
    let tries = bench.seen().iter().filter(|bodies| bodies.contains(&"never".to_owned())).count();
    assert_eq!(tries, MAX_ATTEMPTS as usize);
    assert_eq!(bench.transport.retries.load(Ordering::Relaxed), 2, "one retry for both");
}

#[test]
fn a_batch_that_one_entry_makes_fail_is_sent_one_by_one() {
    let bench = Bench::new(true, |action, request| {
        if bodies(request).iter().any(|body| body == "spoilt") {
            return refusal(400, if action == Action::SendMessage { "InvalidMessageContents" } else { "Odd" });
        }
        echo(action, request)
    });
    let pending = together(&bench, &["a", "spoilt", "c"]);
    assert_eq!(echoed(&pending[0]), "a");
    assert_eq!(code(&pending[1]), "InvalidMessageContents", "the answer to its own request");
    assert_eq!(echoed(&pending[2]), "c");
    assert_eq!(bench.stats.snapshot().flushes.last(), Some(&("solo", 3)));
}

#[test]
fn a_refusal_that_is_not_any_entrys_doing_is_told_to_each() {
    for (status, name) in [(400, "QueueDoesNotExist"), (403, "AccessDenied"), (400, "ExpiredToken"), (503, "Down")] {
        let bench = Bench::new(true, move |action, request| match action {
            Action::SendMessage => echo(action, request),
            _ => refusal(status, name),
        });
        let pending = together(&bench, &["a", "b"]);
        assert_eq!([code(&pending[0]), code(&pending[1])], [name, name]);
        assert_eq!(bench.seen().len(), 2, "{name}: nobody was asked for alone");
    }
}

#[test]
fn a_lost_batch_is_lost_to_each() {
    let bench = Bench::new(true, |action, request| match action {
        Action::SendMessage => echo(action, request),
        _ => lost(),
    });
    for pending in together(&bench, &["a", "b"]) {
        assert!(matches!(answer(&pending), Err(Error::Lost(_))));
    }
}

#[test]
fn an_entry_that_the_reply_does_not_mention_is_asked_for_again_and_then_told_so() {
    for body in [json!({"Successful": [{"Id": "0"}, {"Id": "7"}]}), json!({"Successful": [{"Id": "0"}, {"Id": 1}]})] {
        let silent = body.clone();
        let bench = Bench::new(true, move |action, request| match action {
            Action::SendMessage => echo(action, request),
            _ => reply(&silent),
        });
        let pending = together(&bench, &["a", "b"]);
        assert!(answer(&pending[0]).is_ok());
        assert_eq!(echoed(&pending[1]), "b", "alone by now");
        let bench = Bench::new(true, move |action, request| match (action, bodies(request).as_slice()) {
            (Action::SendMessage, [first]) if first == "first" => echo(action, request),
            (Action::SendMessage, _) => lost(),
            _ => reply(&body),
        });
        let pending = together(&bench, &["a", "b"]);
        assert!(answer(&pending[0]).is_ok());
        assert!(answer(&pending[1]).is_err());
    }
    for body in ["[]", r#"{"Successful":null}"#, r#""text""#, "<html>busy</html>", "", r#"["x"]"#] {
        let bench = Bench::new(true, move |action, request| match action {
            Action::SendMessage => echo(action, request),
            _ => Ok(Reply { body: body.into(), ..reply(&json!(null))? }),
        });
        for pending in together(&bench, &["a", "b"]) {
            let error = answer(&pending).unwrap_err().to_string();
            let words = if body.starts_with('{') { "names entry" } else { "not the body of SQS's replies" };
            assert!(error.contains(words), "{body}: {error}");
        }
        assert_eq!(bench.seen().len(), 1 + MAX_ATTEMPTS as usize, "{body}");
    }
}

/// Of an action, over a batcher whose callers do not read the replies; each request meets the next of these bodies.
fn unread(action: Single, bodies: &'static [&'static str]) -> (Bench, Result<String, Error>) {
    let number = AtomicUsize::new(0);
    let bench = Bench::new(false, move |_, _| {
        let body = bodies[number.fetch_add(1, Ordering::Relaxed).min(bodies.len() - 1)];
        let attempts = number.load(Ordering::Relaxed) as u32;
        // As the transport counts them for a request of its own.
        Ok(Reply { body: body.into(), attempts, ..reply(&json!(null))? })
    });
    let batcher = bench.batchers.make(action, (*b"\"q\"").into(), LIMITS);
    let (pending, _) = enter(&batcher, "m", None);
    let answer = answer(&pending);
    (bench, answer)
}

#[test]
fn a_lone_entry_whose_reply_nobody_reads_is_not_taken_for_done_without_what_a_reply_has() {
    const GOOD: &str = r#" {"MD5OfMessageBody":"x","MessageId":"m","Else":[null]}"#;
    let pages: [&'static [&'static str]; 7] = [
        &["<html>Sign in</html>", GOOD],
        &["", GOOD],
        &["[]", r#"{"MessageId":"m"}"#, GOOD],
        &[r#"{"MessageId":"m","MD5OfMessageBody":null}"#, GOOD],
        &[r#"["m","x"]"#, GOOD],
        &[r#"{"MessageId":"m","MD5OfMessageBody":"x""#, GOOD],
        &["{}", GOOD],
    ];
    for bodies in pages {
        let (bench, answer) = unread(Single::SendMessage, bodies);
        assert_eq!(answer.unwrap(), GOOD, "{bodies:?}");
        assert_eq!(bench.seen().len(), bodies.len());
        assert_eq!(bench.transport.recovered.load(Ordering::Relaxed), 1, "{bodies:?}");
    }
    let (bench, answer) = unread(Single::SendMessage, &["<html>Sign in</html>"]);
    let error = answer.unwrap_err().to_string();
    assert!(
        error.contains("SendMessage") && error.contains("<html>Sign in") && error.contains("status 200"),
        "{error}"
    );
    assert_eq!(bench.seen().len(), MAX_ATTEMPTS as usize);
}

#[test]
fn deletes_and_visibility_changes_may_be_answered_with_nothing_but_not_with_a_page() {
    for action in [Single::DeleteMessage, Single::ChangeMessageVisibility] {
        for body in ["", "\r\n", "{}", r#"{"Anything":1}"#] {
            let (bench, answer) = unread(action, [body].to_vec().leak());
            assert_eq!((answer.unwrap().as_str(), bench.seen().len()), (body, 1), "{action:?}");
        }
        for body in ["<html/>", "[]", "ok", "{", "null"] {
            let (bench, answer) = unread(action, [body].to_vec().leak());
            assert!(answer.is_err(), "{body}");
            assert_eq!(bench.seen().len(), MAX_ATTEMPTS as usize, "{action:?} {body}");
        }
    }
}

/// Who reads the reply is handed it as it came, as by a call of boto3's.
#[test]
fn a_lone_reply_that_is_read_is_handed_over_whatever_it_says() {
    let bench = Bench::new(false, |_, _| Ok(Reply { body: "<html/>".into(), ..reply(&json!(null))? }));
    assert_eq!(answer(&bench.send("m").0).unwrap(), "<html/>");
    assert_eq!(bench.seen().len(), 1);
}

#[test]
fn what_is_withdrawn_in_time_is_not_sent() {
    let bench = Bench::new(true, echo);
    let first = bench.send("first");
    bench.arrival();
    let gone = bench.send("gone");
    let stays = bench.send("stays");
    gone.1.withdraw();
    first.1.withdraw();
    bench.let_through(2);
    assert!(answer(&stays.0).is_ok());
    assert!(answer(&first.0).is_ok(), "too late to withdraw it");
    assert!(answer(&gone.0).is_err());
    assert_eq!(bench.seen(), [vec!["first".to_owned()], vec!["stays".to_owned()]]);
}

#[test]
fn a_flush_sends_what_waits_and_is_over_when_all_before_it_is_answered() {
    let bench = Bench::new(true, echo);
    let first = bench.send("first");
    bench.arrival();
    let second = bench.send("second");
    let (flushed, responder) = PendingResponse::new();
    bench.batchers.flush(responder).unwrap();
    bench.arrival();
    bench.let_through(1);
    assert!(flushed.wait_for(Duration::from_millis(20)).is_none(), "one is still unanswered");
    let after = bench.send("after");
    bench.let_through(1);
    assert!(matches!(flushed.wait_for(TIMEOUT), Some(Ok(()))));
    assert!(answer(&first.0).is_ok() && answer(&second.0).is_ok());
    bench.let_through(1);
    assert!(answer(&after.0).is_ok());
}

#[test]
fn a_panic_on_the_way_is_told_and_does_not_block_the_window() {
    let bench = Bench::new(false, |action, request| {
        assert!(bodies(request) != ["bomb"], "as the test wants it");
        echo(action, request)
    });
    let bomb = bench.send("bomb");
    assert!(matches!(answer(&bomb.0), Err(Error::Runtime(_))));
    // With four of them in flight for ever nothing more would leave.
    for _ in 0..5 {
        assert!(answer(&bench.send("bomb").0).is_err());
    }
    assert!(answer(&bench.send("fine").0).is_ok());
    assert!(bench.batcher().is_idle());
}

/// Throttles all entries of the first batch, and takes everything else.
fn throttles_once(action: Action, request: &Value, first: &AtomicUsize) -> Result<Reply, Error> {
    if action == Action::SendMessageBatch && first.fetch_add(1, Ordering::Relaxed) == 0 {
        let fault = |id: usize| json!({"Id": id.to_string(), "SenderFault": false, "Code": "RequestThrottled"});
        return reply(&json!({"Failed": (0..bodies(request).len()).map(fault).collect::<Vec<_>>()}));
    }
    echo(action, request)
}

/// Two entries, of the groups a and b, that rest for an hour.
fn two_that_back_off(bench: &Bench) -> (Arc<Batcher>, [(PendingResponse<Reply>, Entered); 2]) {
    *bench.transport.rest.lock().unwrap() = Duration::from_secs(3600);
    let batcher = bench.batchers.of(Single::SendMessage, b"\"q.fifo\"");
    let first = enter(&batcher, "first", Some("x"));
    bench.arrival();
    let backing_off = [enter(&batcher, "a0", Some("a")), enter(&batcher, "b0", Some("b"))];
    bench.arrival();
    bench.let_through(2);
    assert!(answer(&first.0).is_ok());
    while batcher.lock().window.deadline().is_none_or(|deadline| deadline < Instant::now() + TIMEOUT) {
        std::thread::yield_now();
    }
    (batcher, backing_off)
}

#[test]
fn a_group_goes_on_when_what_it_waited_for_is_withdrawn() {
    let count = AtomicUsize::new(0);
    let bench = Bench::with(LIMITS, true, move |action, request| throttles_once(action, request, &count));
    let (batcher, backing_off) = two_that_back_off(&bench);
    let next = enter(&batcher, "a1", Some("a"));
    backing_off[0].1.withdraw();
    bench.let_through(1);
    assert!(answer(&next.0).is_ok());
}

#[test]
fn timers_do_not_pile_up_while_something_rests() {
    let count = AtomicUsize::new(0);
    let bench = Bench::with(LIMITS, true, move |action, request| throttles_once(action, request, &count));
    let (batcher, _backing_off) = two_that_back_off(&bench);
    for _ in 0..30 {
        let first = enter(&batcher, "at once", Some("x"));
        bench.arrival();
        let second = enter(&batcher, "after its linger", Some("y"));
        bench.arrival();
        bench.let_through(2);
        assert!(answer(&first.0).is_ok() && answer(&second.0).is_ok());
    }
    let alarms = batcher.lock().alarms.len();
    assert!(alarms <= 2, "{alarms} timers for one rest and one linger");
}

#[test]
fn a_retry_that_succeeds_gives_back_what_it_cost() {
    let count = AtomicUsize::new(0);
    let bench = Bench::new(true, move |action, request| throttles_once(action, request, &count));
    for pending in together(&bench, &["a", "b", "c"]) {
        assert!(answer(&pending).is_ok());
    }
    assert_eq!(bench.transport.retries.load(Ordering::Relaxed), 1);
    assert_eq!(bench.transport.recovered.load(Ordering::Relaxed), 1);
}

#[test]
fn an_odd_failure_is_its_entrys_alone() {
    for failed in [
        r#"{"Id":"1","SenderFault":true,"Code":"InvalidMessageContents","Message":"bad \ud800"}"#,
        r#"{"Id":"1","SenderFault":true,"Code":null}"#,
        r#"{"Id":"1","SenderFault":true,"Code":7}"#,
        r#"{"Id":"1"},{"Id":"0","SenderFault":false},{"Id":2}"#,
    ] {
        let body = format!(r#"{{"Successful":[{{"Id":"0"}},{{"Id":"2"}}],"Failed":[{failed}]}}"#);
        let bench = Bench::new(true, move |action, request| match action {
            Action::SendMessage => echo(action, request),
            _ => Ok(Reply { body: body.clone().into(), ..reply(&json!(null))? }),
        });
        let pending = together(&bench, &["a", "b", "c"]);
        // Whatever it is, it goes again, alone.
        assert!(pending.iter().all(|pending| answer(pending).is_ok()), "{failed}");
        assert_eq!(bench.seen()[2..], [["b"]], "{failed}");
    }
}

/// What happens to one request.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Fine,
    Throttled,
    LostBefore,
    LostAfter,
    Refused,
    /// The entries whose bit is set fail; of those the ones in the second mask by the sender's fault.
    Partly(u16, u16),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => Just(Fate::Fine),
        1 => Just(Fate::Throttled),
        1 => Just(Fate::LostBefore),
        1 => Just(Fate::LostAfter),
        1 => Just(Fate::Refused),
        3 => (any::<u16>(), any::<u16>()).prop_map(|(failed, sender)| Fate::Partly(failed, sender)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Whatever becomes of requests: each call is answered, what was reported as sent was taken, what was not
    /// lost was taken once, and groups are in order.
    #[test]
    fn whatever_happens_every_call_is_answered_and_none_is_lost(
        fates in proptest::collection::vec(fate(), 1..40),
        messages in proptest::collection::vec(0u8..5, 1..80),
        fifo in any::<bool>(),
    ) {
        let taken: Arc<Mutex<Vec<String>>> = Arc::default();
        let unsure: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let number = AtomicUsize::new(0);
        let (take, doubt) = (Arc::clone(&taken), Arc::clone(&unsure));
        let bench = Bench::with(LIMITS, false, move |action, request| {
            let fate = fates[number.fetch_add(1, Ordering::Relaxed) % fates.len()];
            let bodies = bodies(request);
            let mut taken = take.lock().unwrap();
            match fate {
                Fate::Fine => {
                    taken.extend(bodies);
                    echo(action, request)
                }
                Fate::Throttled => refusal(400, "RequestThrottled"),
                Fate::LostBefore => lost(),
                Fate::LostAfter => {
                    doubt.lock().unwrap().extend(bodies.iter().cloned());
                    taken.extend(bodies);
                    lost()
                }
                Fate::Refused => refusal(400, "SomethingOdd"),
                Fate::Partly(..) if action == Action::SendMessage => {
                    taken.extend(bodies);
                    echo(action, request)
                }
                Fate::Partly(failed, sender) => {
                    let (mut good, mut bad) = (Vec::new(), Vec::new());
                    for (place, body) in bodies.into_iter().enumerate() {
                        if failed & (1 << place) == 0 {
                            taken.push(body);
                            good.push(json!({"Id": place.to_string()}));
                        } else {
                            let sender = sender & (1 << place) != 0;
                            bad.push(json!({"Id": place.to_string(), "SenderFault": sender, "Code": "Some"}));
                        }
                    }
                    reply(&json!({"Successful": good, "Failed": bad}))
                }
            }
        });
        let queue: &[u8] = if fifo { b"\"q.fifo\"" } else { b"\"q\"" };
        let batcher = bench.batchers.of(Single::SendMessage, queue);
        let calls: Vec<_> = messages
            .iter()
            .enumerate()
            .map(|(number, group)| {
                let body = format!("g{group}-{number:04}");
                (enter(&batcher, &body, Some(&format!("g{group}"))), body)
            })
            .collect();
        let mut sent = BTreeSet::new();
        for ((pending, _), body) in &calls {
            if answer(pending).is_ok() {
                sent.insert(body.clone());
            }
        }
        let taken = taken.lock().unwrap();
        let unsure = unsure.lock().unwrap();
        let distinct: BTreeSet<String> = taken.iter().cloned().collect();
        prop_assert!(sent.is_subset(&distinct), "reported as sent, and never taken");
        prop_assert!(distinct.iter().all(|body| sent.contains(body) || unsure.contains(body)), "taken, and not reported");
        prop_assert_eq!(taken.len(), distinct.len(), "taken twice, although nothing is ever sent again that was taken");
        if fifo {
            for group in 0..5 {
                let prefix = format!("g{group}-");
                let order: Vec<_> = taken.iter().filter(|body| body.starts_with(&prefix)).collect();
                prop_assert!(order.is_sorted(), "{order:?}");
            }
        }
    }
}
