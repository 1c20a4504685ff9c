//! What the batch actions have in common: a reply in two lists, each left out when it is empty.

use crate::local::error::SqsError;
use crate::local::reply::ReplyWriter;

/// The outcomes of a batch, in the order of its entries.
pub(super) struct Outcomes {
    successful: ReplyWriter,
    any_successful: bool,
    failed: Option<ReplyWriter>,
}

impl Outcomes {
    pub(super) fn new(capacity: usize) -> Outcomes {
        let mut successful = ReplyWriter::object(capacity);
        successful.key("Successful").open(b'[');
        Outcomes { successful, any_successful: false, failed: None }
    }

    /// Opens the object of a successful entry; the caller closes it.
    pub(super) fn successful(&mut self, id: &str) -> &mut ReplyWriter {
        self.any_successful = true;
        self.successful.open(b'{').key("Id").text(id)
    }

    pub(super) fn failed(&mut self, write: impl FnOnce(&mut ReplyWriter)) {
        let reply = self.failed.get_or_insert_with(|| {
            let mut failed = ReplyWriter::object(256);
            failed.key("Failed").open(b'[');
            failed
        });
        write(reply);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let Outcomes { mut successful, any_successful, failed } = self;
        successful.close(b']');
        let mut failed = match failed {
            None => return successful.finish(),
            Some(failed) => failed,
        };
        failed.close(b']');
        if !any_successful {
            return failed.finish();
        }
        let mut text = successful.finish();
        text.pop();
        text.push(b',');
        text.extend_from_slice(failed.finish().get(1..).unwrap_or_default());
        text
    }
}

pub(super) fn write_failure(reply: &mut ReplyWriter, id: &str, error: &SqsError) {
    reply.open(b'{').key("Id").text(id).key("SenderFault").boolean(error.sender);
    reply.key("Code").text(error.code).key("Message").text(&error.message).close(b'}');
}
