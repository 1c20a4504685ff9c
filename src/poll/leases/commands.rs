//! What is asked of the service for messages that are held, what it answers, and what there is to tell then.

use std::time::Duration;

use crate::protocol::error::Error;

/// What is to be asked of the service for one message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub id: u64,
    pub handle: Box<str>,
    pub kind: CommandKind,
    /// When it must not leave any more: the message is not ours then.
    pub not_after: Duration,
}

/// What a [`Command`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandKind {
    /// To be invisible for so many seconds from now; [`super::Leases::extended`] is to be told.
    Extend(u32),
    /// To be visible after so many seconds; [`super::Leases::settled`] is to be told, as for a delete.
    Visible(u32),
    Delete,
}

/// How a message that was handed over ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    Delete,
    /// Visible after so many seconds, or the longest that SQS allows.
    Visible(u32),
    /// It comes back when its time is over.
    Leave,
}

/// What became of an extension.
#[derive(Debug)]
pub(crate) enum Extension {
    /// The request left at this time and asked for so many seconds.
    Done(Duration, u32),
    /// The message is not ours any more.
    Gone(Error),
    /// No telling, or not now; worth another try.
    Failed(Error),
}

/// What became of a delete, or of a change of visibility that ends our part.
#[derive(Debug)]
pub(crate) enum Settled {
    Done,
    /// The service will not, however often it is asked.
    Refused(Error),
    /// It may succeed another time.
    Failed(Error),
    /// There was no answer: it may have been done.
    Unknown(Error),
}

/// News of a message that was handed over, for its taker's owner.
#[derive(Debug)]
pub(crate) enum Told<M> {
    /// Its visibility could not be kept while it was handed over.
    Lost(M, Option<Error>),
    /// What its taker wanted for it could not be done.
    Failed(M, Disposition, Option<Error>),
}
