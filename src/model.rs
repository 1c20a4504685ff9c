//! SQS as data: which operations there are, what goes in, what comes out, which errors are known by name.
//!
//! The table is generated from botocore's published model and is the only place that names a member; the
//! marshaller and the unmarshaller walk it. Order matters and is the model's own: it is the order of boto3's
//! reply dicts and of the names in its validation messages.

mod table;

pub(crate) use table::{
    API_VERSION, Action, ERRORS, MESSAGE, MOST_MEMBERS, OPERATIONS, STRUCTURE_COUNT, TARGET_PREFIX,
};

/// The type of a member.
#[derive(Debug)]
pub(crate) enum Shape {
    String,
    /// The model's `integer` and `long`: both are JSON numbers and Python ints.
    Integer,
    Boolean,
    /// Bytes, base64 on the wire.
    Blob,
    List(&'static Shape),
    /// Keys are strings in all of SQS.
    Map(&'static Shape),
    Structure(&'static Structure),
}

/// A member of a structure.
#[derive(Debug)]
pub(crate) struct Member {
    pub name: &'static str,
    pub shape: Shape,
}

/// A structure of the model: the input or output of an operation, or a part of one.
#[derive(Debug)]
pub(crate) struct Structure {
    /// Its place among all structures, below [`STRUCTURE_COUNT`]: for side tables.
    pub index: usize,
    pub members: &'static [Member],
    /// In the order in which the model lists them, which is the order of the complaints.
    pub required: &'static [&'static str],
    /// The same as a set: a bit for each place among the members.
    pub required_bits: u64,
}

impl Structure {
    /// The position and definition of a member.
    pub(crate) fn member(&self, name: &str) -> Option<(usize, &'static Member)> {
        self.members.iter().enumerate().find(|(_, member)| member.name == name)
    }
}

/// An operation of SQS.
#[derive(Debug)]
pub(crate) struct Operation {
    pub action: Action,
    /// `SendMessage`, as on the wire and in error messages.
    pub name: &'static str,
    pub input: &'static Structure,
    /// `None` for operations whose reply carries nothing but its metadata.
    pub output: Option<&'static Structure>,
}

/// An error that SQS documents by name.
#[derive(Debug)]
pub(crate) struct ErrorShape {
    /// The shape's name, which is the name of the exception class: `QueueDoesNotExist`.
    pub name: &'static str,
    /// The code of the older query protocol, where the model gives one.
    pub query_code: Option<&'static str>,
    pub(crate) structure: &'static Structure,
}

impl Action {
    /// What the model says of this action.
    pub(crate) fn operation(self) -> &'static Operation {
        // The generator writes OPERATIONS in the order of the enum; a test holds it to that.
        #[allow(clippy::indexing_slicing)]
        &OPERATIONS[self as usize]
    }

    /// The action of this name as written on the wire (`SendMessage`).
    pub(crate) fn from_name(name: &str) -> Option<Action> {
        OPERATIONS.iter().find(|operation| operation.name == name).map(|operation| operation.action)
    }

    /// Whether it sends, receives, deletes or keeps messages; all else concerns queues. AWS's price list tells them apart
    /// (<https://aws.amazon.com/sqs/pricing/>): those of FIFO queues have a price of their own.
    pub(crate) fn is_about_messages(self) -> bool {
        use Action::{
            ChangeMessageVisibility, ChangeMessageVisibilityBatch, DeleteMessage, DeleteMessageBatch, ReceiveMessage,
            SendMessage, SendMessageBatch,
        };
        matches!(
            self,
            SendMessage
                | SendMessageBatch
                | ReceiveMessage
                | DeleteMessage
                | DeleteMessageBatch
                | ChangeMessageVisibility
                | ChangeMessageVisibilityBatch
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_stand_at_their_action() {
        for operation in &OPERATIONS {
            assert!(std::ptr::eq(operation.action.operation(), operation), "{}", operation.name);
        }
    }

    #[test]
    fn every_required_member_is_a_member_and_has_its_bit() {
        let parts = OPERATIONS.iter().flat_map(|operation| operation.input.members).filter_map(|member| {
            if let Shape::List(Shape::Structure(structure)) = member.shape { Some(*structure) } else { None }
        });
        for structure in OPERATIONS.iter().map(|operation| operation.input).chain(parts) {
            let place = |name: &&str| structure.member(name).unwrap().0;
            let bits = structure.required.iter().fold(0, |bits, name| bits | 1 << place(name));
            assert_eq!(structure.required_bits, bits, "{}", structure.index);
        }
    }
}
