//! What the clients of a session share: where their credentials come from, and the credentials.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::config::{Found, OneTimeCode, Settings};
use crate::protocol::error::Error;
use crate::runtime::ProcessBound;
use crate::transport::aws::{Holder, Identity};

/// The credentials of a session, and where they come from: found for the first of its clients that has no credentials of its
/// own, and not looked for again, as in boto3, unless their source had none to give.
#[derive(Debug, Default)]
pub(crate) struct Session(ArcSwapOption<SharedSource>);

/// A source of credentials, and what it has given.
#[derive(Debug)]
struct SharedSource {
    found: Arc<Found>,
    /// Whether there is somebody to ask: looked at before each request.
    codes: Vec<OneTimeCode>,
    /// A child process asks on connections of its own, but begins with what its parent has.
    holder: Holder,
    identity: ProcessBound<Option<Arc<Identity>>>,
}

impl SharedSource {
    fn new(settings: &Settings) -> Arc<SharedSource> {
        let found = Found { credentials: settings.credentials.clone(), services: settings.services.clone() };
        Arc::new(SharedSource {
            codes: found.credentials.codes(),
            found: Arc::new(found),
            holder: Holder::default(),
            identity: ProcessBound::new(),
        })
    }

    /// Whether boto3 would have found nothing: its next client looks again.
    fn has_failed(&self) -> bool {
        self.identity.get().flatten().is_some_and(|identity| identity.has_failed())
    }
}

impl Session {
    /// Where credentials come from, if a client has found that out.
    pub(crate) fn found(&self) -> Option<Arc<Found>> {
        self.0.load().as_ref().map(|source| Arc::clone(&source.found))
    }

    /// The same for a client that is being made, which looks for itself if nothing came of what another has found.
    pub(crate) fn found_for_another(&self) -> Option<Arc<Found>> {
        self.0.load().as_ref().filter(|source| !source.has_failed()).map(|source| Arc::clone(&source.found))
    }

    /// The session that a client with these settings belongs to: this one, or one of its own if its credentials are. Of two
    /// clients that have looked at the same time, both go by what the first has found.
    pub(crate) fn of(self: &Arc<Self>, settings: &Settings) -> Arc<Session> {
        if !settings.credentials.is_of_session() {
            return Arc::new(Session(ArcSwapOption::new(Some(SharedSource::new(settings)))));
        }
        let known = self.0.load();
        if known.as_ref().is_none_or(|source| source.has_failed()) {
            self.0.compare_and_swap(&known, Some(SharedSource::new(settings)));
        }
        Arc::clone(self)
    }

    /// Whom requests are signed for; `None`: they are not signed.
    pub(crate) fn identity(&self) -> Result<Option<Arc<Identity>>, Error> {
        let Some(source) = self.0.load_full() else { return Ok(None) };
        source.identity.get_or_try_make(|| Ok(Identity::new(&source.found, source.holder.clone()).map(Arc::new)))
    }

    /// Whether a person has to be asked for codes before a request can be signed.
    pub(crate) fn wants_codes(&self) -> bool {
        self.0.load().as_ref().is_some_and(|source| source.codes.iter().any(OneTimeCode::is_unknown))
    }

    /// The codes that nobody was asked for yet, in the order of asking.
    pub(crate) fn unknown_codes(&self) -> Vec<OneTimeCode> {
        let source = self.0.load();
        let codes = source.iter().flat_map(|source| &source.codes);
        codes.filter(|code| code.is_unknown()).cloned().collect()
    }
}
