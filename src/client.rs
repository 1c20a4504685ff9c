//! The client: settings, and what carries operations made from them, once per process.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{RetryMode, Settings, StaticCredentials};
use crate::log::{self, Topic};
use crate::model::Action;
use crate::protocol::entry::{Entry, Single};
use crate::protocol::error::Error;
use crate::protocol::message::{Presign, Reply, Request};
use crate::receive::call::ReceiveCall;
use crate::receive::receiver::{EnteredReceive, Receivers};
use crate::receive::visibility::Visibilities;
use crate::runtime::responder::Responder;
use crate::runtime::{self, CallerDriven, Driven, ProcessBound, Reactor, Task, caller};
use crate::send::batcher::own_changes::Pollers;
use crate::send::batcher::{Batchers, Entered};
use crate::send::{Limits, MAX_BYTES, MAX_ENTRIES};
use crate::session::Session;
use crate::stats::Stats;
use crate::transport::aws::{AwsTransport, Identity};
use crate::transport::{ResponseFuture, Transport};

/// Settings, counters, and the resources of this process.
#[derive(Debug)]
pub(crate) struct Client {
    settings: Settings,
    session: Arc<Session>,
    stats: Arc<Stats>,
    resources: ProcessBound<Arc<Resources>>,
}

/// An operation, ready to go.
#[derive(Debug)]
pub(crate) enum Call {
    /// As a request of its own.
    Request(Request),
    /// As one that may share a request with others of its kind: the queue's URL as JSON, and the rest.
    Entry(Single, Vec<u8>, Entry),
}

impl Call {
    /// The same, as part of a trace.
    pub(crate) fn traced(self, trace: Option<&str>) -> Call {
        let trace = trace.map(Arc::from);
        match self {
            Call::Request(request) => Call::Request(Request { trace, ..request }),
            Call::Entry(action, queue, entry) => Call::Entry(action, queue, Entry { trace, ..entry }),
        }
    }

    /// The same; by the tag the journal knows it again, if it is an entry.
    pub(crate) fn tagged(self, tag: u64) -> Call {
        match self {
            Call::Entry(action, queue, entry) => Call::Entry(action, queue, Entry { tag, ..entry }),
            request @ Call::Request(_) => request,
        }
    }

    pub(crate) fn action(&self) -> Action {
        match self {
            Call::Request(request) => request.action,
            Call::Entry(action, ..) => action.action(),
        }
    }
}

/// Entries of one queue and action that were made at the same moment, and their places among all calls of that moment.
struct EntriesTogether {
    action: Single,
    places: Vec<usize>,
    entries: Vec<(Entry, Responder<Reply>)>,
}

impl EntriesTogether {
    fn new(action: Single) -> Self {
        EntriesTogether { action, places: Vec::new(), entries: Vec::new() }
    }
}

/// What a client has in one process; a forked child makes its own.
#[derive(Debug)]
pub(crate) struct Resources {
    pub transport: Arc<dyn Transport>,
    pub batchers: Arc<Batchers>,
    pub receivers: Arc<Receivers>,
    pub visibilities: Arc<Visibilities>,
    pub pollers: Arc<Pollers>,
}

impl Client {
    /// A client of a session, unless it has credentials of its own.
    pub(crate) fn of(settings: Settings, session: &Arc<Session>) -> Self {
        let session = session.of(&settings);
        log::debug(Topic::Credentials, || format!("a new client's credentials: {}", settings.credentials.method()));
        Client { settings, session, stats: Arc::default(), resources: ProcessBound::new() }
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Set an operation going. It runs whether or not anybody waits for it, until it is abandoned.
    pub(crate) fn begin(&self, call: Call, responder: Responder<Reply>) -> Result<Underway, Error> {
        let resources = self.resources()?;
        match call {
            Call::Request(request) if request.action == Action::ReceiveMessage => {
                let underway = self.begin_receives(vec![(request, responder)])?.pop();
                underway.ok_or_else(|| Error::Runtime("a receive was not set going".into()))
            }
            Call::Request(request) => {
                resources.pollers.note_request(&request);
                run(resources.transport.send(request), responder)
            }
            Call::Entry(action, queue, entry) => {
                resources.pollers.note_entry(action, &entry);
                resources.batchers.of(action, &queue).enter(entry, responder).map(Underway::Entry)
            }
        }
    }

    /// The same for one who waits for the answer in this thread, which drives the call itself if nobody else has to do with it.
    pub(crate) fn begin_waiting(&self, call: Call, responder: Responder<Reply>) -> Result<BegunCall, Error> {
        if !caller::may_drive() || self.settings.retries.mode == RetryMode::Adaptive {
            return self.begin(call, responder).map(BegunCall::Elsewhere);
        }
        let resources = self.resources()?;
        let reactor = runtime::handle()?;
        let (place, driven) = match call {
            Call::Request(request) => {
                let may_share = request.action == Action::ReceiveMessage && self.settings.batching.is_some();
                match may_share.then(|| ReceiveCall::of(&request)).flatten() {
                    Some(call) => {
                        let (received, own) = resources.receivers.enter_waiting(call, request, responder)?;
                        match own {
                            Some((request, driven)) => (OwnPlace::Received(received, request), driven),
                            None => return Ok(BegunCall::Elsewhere(Underway::Received(received))),
                        }
                    }
                    None => {
                        resources.pollers.note_request(&request);
                        let answer = resources.transport.send(request);
                        (OwnPlace::Request, CallerDriven::new(async move { responder.respond(answer.await) }))
                    }
                }
            }
            Call::Entry(action, queue, entry) => {
                resources.pollers.note_entry(action, &entry);
                match resources.batchers.of(action, &queue).enter_waiting(entry, responder)? {
                    (entered, Some(driven)) => (OwnPlace::Entry(entered), driven),
                    (entered, None) => return Ok(BegunCall::Elsewhere(Underway::Entry(entered))),
                }
            }
        };
        Ok(BegunCall::Here(OwnCall { reactor, place, driven }))
    }

    /// Set calls going that were made at the same moment: the entries of one queue and action leave together if they fit, and
    /// receives share requests if they can. `None` stands for a call that cannot be taken back, or has been answered already.
    pub(crate) fn begin_together(&self, calls: Vec<(Call, Responder<Reply>)>) -> Vec<Option<Underway>> {
        if let Err(error) = self.ready() {
            let refuse = |(_, responder): (Call, Responder<Reply>)| responder.respond(Err(error.clone()));
            return calls.into_iter().map(refuse).map(|()| None).collect();
        }
        let mut begun: Vec<Option<Underway>> = calls.iter().map(|_| None).collect();
        let mut batches: HashMap<(Action, Vec<u8>), EntriesTogether> = HashMap::new();
        let (mut receive_places, mut receives) = (Vec::new(), Vec::new());
        let mut put = |place: usize, underway: Option<Underway>| {
            if let Some(begun) = begun.get_mut(place) {
                *begun = underway;
            }
        };
        for (place, (call, responder)) in calls.into_iter().enumerate() {
            match call {
                Call::Request(request) if request.action == Action::ReceiveMessage => {
                    receive_places.push(place);
                    receives.push((request, responder));
                }
                Call::Request(request) => put(place, self.begin(Call::Request(request), responder).ok()),
                Call::Entry(action, queue, entry) => {
                    let together =
                        batches.entry((action.action(), queue)).or_insert_with(|| EntriesTogether::new(action));
                    together.places.push(place);
                    together.entries.push((entry, responder));
                }
            }
        }
        // What cannot be set going has told its callers.
        for ((_, queue), EntriesTogether { action, places, entries }) in batches {
            let underway = self.begin_all(action, &queue, entries).unwrap_or_default();
            places.into_iter().zip(underway).for_each(|(place, underway)| put(place, Some(underway)));
        }
        if receives.is_empty() {
            return begun;
        }
        let underway = self.begin_receives(receives).unwrap_or_default();
        receive_places.into_iter().zip(underway).for_each(|(place, underway)| put(place, Some(underway)));
        begun
    }

    fn begin_receives(&self, receives: Vec<(Request, Responder<Reply>)>) -> Result<Vec<Underway>, Error> {
        let resources = self.resources()?;
        let (mut shared, mut alone) = (Vec::new(), Vec::new());
        let mut shares = Vec::with_capacity(receives.len());
        for (request, responder) in receives {
            let call = self.settings.batching.and_then(|_| ReceiveCall::of(&request));
            shares.push(call.is_some());
            match call {
                Some(call) => shared.push((call, request, responder)),
                None => alone.push(run(resources.transport.send(request), responder)?),
            }
        }
        let mut shared = resources.receivers.enter(shared)?.into_iter().map(Underway::Received);
        let mut alone = alone.into_iter();
        Ok(shares.into_iter().filter_map(|shares| if shares { shared.next() } else { alone.next() }).collect())
    }

    fn begin_all(
        &self,
        action: Single,
        queue: &[u8],
        entries: Vec<(Entry, Responder<Reply>)>,
    ) -> Result<Vec<Underway>, Error> {
        let resources = self.resources()?;
        entries.iter().for_each(|(entry, _)| resources.pollers.note_entry(action, entry));
        let entered = resources.batchers.of(action, queue).enter_all(entries)?;
        Ok(entered.into_iter().map(Underway::Entry).collect())
    }

    /// Whether operations can be set going; if not, why.
    pub(crate) fn ready(&self) -> Result<(), Error> {
        self.resources().and_then(|_| runtime::handle()).map(drop)
    }

    /// Have a URL signed, which may take a request for credentials.
    pub(crate) fn presign(&self, presign: Presign, responder: Responder<String>) -> Result<Underway, Error> {
        run(self.resources()?.transport.presign(presign), responder)
    }

    /// Have the source of the credentials asked as botocore does when a client is made; `None`: there is nothing to be asked.
    pub(crate) fn ask_source(&self, responder: Responder<()>) -> Result<Option<Underway>, Error> {
        let identity = match self.session.found() {
            Some(found) if found.credentials.are_asked_first() => self.session.identity()?,
            _ => None,
        };
        let prepare =
            |identity: Arc<Identity>| -> ResponseFuture<()> { Box::pin(async move { identity.prepare().await }) };
        identity.map(|identity| run(prepare(identity), responder)).transpose()
    }

    /// Ask what requests are signed with now.
    pub(crate) fn credentials(&self, responder: Responder<Option<StaticCredentials>>) -> Result<Underway, Error> {
        run(self.resources()?.transport.credentials(), responder)
    }

    /// The transport and the batchers of this process.
    pub(crate) fn resources(&self) -> Result<Arc<Resources>, Error> {
        self.resources.get_or_try_make(|| {
            let identity = self.session.identity()?;
            let transport = AwsTransport::with_identity(&self.settings, Arc::clone(&self.stats), identity)?;
            let transport: Arc<dyn Transport> = Arc::new(transport);
            let batching = self.settings.batching.unwrap_or_default();
            let limits = Limits {
                entries: MAX_ENTRIES,
                bytes: MAX_BYTES,
                linger: batching.linger,
                max_in_flight: batching.max_in_flight,
                at_once: true,
            };
            let batchers = Arc::new(Batchers::new(Arc::clone(&transport), Arc::clone(&self.stats), limits));
            let stats = Arc::clone(&self.stats);
            let receivers = Receivers::new(Arc::clone(&transport), Arc::clone(&batchers), stats, batching.linger);
            let receivers = Arc::new(receivers);
            let (visibilities, pollers) = Default::default();
            Ok(Arc::new(Resources { transport, batchers, receivers, visibilities, pollers }))
        })
    }

    /// How many batches are in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.resources.get().map_or(0, |resources| resources.batchers.in_flight())
    }

    /// Let everything leave that waits, and answer the caller when all of it has been answered.
    pub(crate) fn flush(&self, responder: Responder<()>) -> Result<(), Error> {
        match self.resources.get() {
            Some(resources) => resources.batchers.flush(responder),
            None => {
                responder.respond(Ok(()));
                Ok(())
            }
        }
    }

    /// Let go of connections. As in boto3, the client can be used afterwards.
    pub(crate) fn close(&self) {
        self.resources.clear();
    }
}

fn run<T: Send + 'static>(answer: ResponseFuture<T>, responder: Responder<T>) -> Result<Underway, Error> {
    let task = runtime::handle()?.spawn(async move { responder.respond(answer.await) });
    Ok(Underway::Task(task))
}

/// An operation whose caller waits for it, as it was begun.
#[derive(Debug)]
pub(crate) enum BegunCall {
    /// It was set going.
    Elsewhere(Underway),
    /// It is its caller's to drive.
    Here(OwnCall),
}

/// An operation that its caller's thread drives.
#[derive(Debug)]
pub(crate) struct OwnCall {
    reactor: Reactor,
    place: OwnPlace,
    driven: CallerDriven,
}

/// Where a call is known that its caller drives.
#[derive(Debug)]
enum OwnPlace {
    /// It is a request of its own.
    Request,
    Entry(Entered),
    /// A receive, and the number of its request.
    Received(EnteredReceive, u64),
}

/// How far a thread has come with a call of its own.
#[derive(Debug)]
pub(crate) enum OwnProgress {
    /// There is an answer.
    Answered,
    /// Nothing has come so far.
    Waiting(OwnCall),
    /// It was set going, since it waits for more than its socket.
    Elsewhere(Underway),
}

impl OwnCall {
    /// Drive it in this thread, until a signal comes or for as long as `limit` at most.
    pub(crate) fn drive(self, limit: Duration) -> OwnProgress {
        let OwnCall { reactor, place, driven } = self;
        match (driven.drive(&reactor, limit), place) {
            (Driven::Waiting(driven), place) => OwnProgress::Waiting(OwnCall { reactor, place, driven }),
            (Driven::Beyond(driven), place) => OwnProgress::Elsewhere(OwnCall { reactor, place, driven }.set_going()),
            (Driven::Done, OwnPlace::Request) => OwnProgress::Answered,
            // One that has to be asked for again is its window's.
            (Driven::Done, OwnPlace::Entry(entered)) => OwnProgress::Elsewhere(Underway::Entry(entered)),
            (Driven::Done, OwnPlace::Received(received, _)) => OwnProgress::Elsewhere(Underway::Received(received)),
        }
    }

    /// The reactor goes on with it.
    fn set_going(self) -> Underway {
        let OwnCall { reactor, place, driven } = self;
        match place {
            OwnPlace::Request => Underway::Task(reactor.spawn(driven)),
            OwnPlace::Entry(entered) => {
                reactor.spawn(driven);
                Underway::Entry(entered)
            }
            OwnPlace::Received(received, request) => {
                received.hand_over(&reactor, request, driven);
                Underway::Received(received)
            }
        }
    }

    /// Nobody waits for the answer any more: see [`Underway::abandon`].
    pub(crate) fn abandon(self) {
        self.set_going().abandon();
    }
}

/// An operation that was set going, for the one who may want to give it up.
#[derive(Debug)]
pub(crate) enum Underway {
    /// On its way alone.
    Task(Task),
    Entry(Entered),
    /// A receive that may share requests with others.
    Received(EnteredReceive),
}

impl Underway {
    /// Nobody waits for the answer any more. A request of its own is given up; an entry that has not left is withdrawn; one
    /// that has left stays sent, as its neighbours are.
    pub(crate) fn abandon(&self) {
        match self {
            Underway::Task(task) => task.abort(),
            Underway::Entry(entered) => entered.withdraw(),
            Underway::Received(received) => received.leave(),
        }
    }
}
