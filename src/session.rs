//! What the clients of a session share: where their credentials come from, and the credentials.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;

use crate::config::{Found, OneTimeCode, Settings};
use crate::protocol::error::Error;
use crate::runtime::ProcessBound;
use crate::transport::aws::{Holder, Identity};

/// The credentials of a session, and where they come from: found for the first of its clients that has no credentials of its
/// own, and not looked for again, as in boto3.
#[derive(Debug, Default)]
pub(crate) struct Session {
    found: ArcSwapOption<Found>,
    /// Whether there is somebody to ask: looked at before each request.
    codes: OnceLock<Vec<OneTimeCode>>,
    /// A child process asks on connections of its own, but begins with what its parent has.
    holder: Holder,
    identity: ProcessBound<Option<Arc<Identity>>>,
}

impl Session {
    /// Where credentials come from, if a client has found that out.
    pub(crate) fn found(&self) -> Option<Arc<Found>> {
        self.found.load_full()
    }

    /// The session that a client with these settings belongs to: this one, or one of its own if its credentials are. Of two
    /// clients that have looked at the same time, both go by what the first has found.
    pub(crate) fn of(self: &Arc<Self>, settings: &Settings) -> Arc<Session> {
        let found =
            || Arc::new(Found { credentials: settings.credentials.clone(), services: settings.services.clone() });
        if !settings.credentials.is_of_session() {
            let own = Session::default();
            own.found.store(Some(found()));
            return Arc::new(own);
        }
        if self.found.load().is_none() {
            self.found.compare_and_swap(&None::<Arc<Found>>, Some(found()));
        }
        Arc::clone(self)
    }

    /// Whom requests are signed for; `None`: they are not signed.
    pub(crate) fn identity(&self) -> Result<Option<Arc<Identity>>, Error> {
        self.identity.get_or_try_make(|| {
            Ok(self.found().and_then(|found| Identity::new(&found, self.holder.clone())).map(Arc::new))
        })
    }

    /// Whether a person has to be asked for codes before a request can be signed.
    pub(crate) fn wants_codes(&self) -> bool {
        self.codes().iter().any(OneTimeCode::is_unknown)
    }

    /// The codes that nobody was asked for yet, in the order of asking.
    pub(crate) fn unknown_codes(&self) -> Vec<OneTimeCode> {
        self.codes().iter().filter(|code| code.is_unknown()).cloned().collect()
    }

    fn codes(&self) -> &[OneTimeCode] {
        self.codes.get_or_init(|| self.found().map(|found| found.credentials.codes()).unwrap_or_default())
    }
}
