//! The actions of SQS, from the members of a request to the text of a reply.

mod attributes;
mod batches;
mod moving;
mod queues;
mod receiving;
mod sending;
mod shown;

use super::error::SqsError;
use super::message::Millis;
use super::service::{Answer, Caller, Service};
use crate::model::Action;

pub(super) use receiving::Wait;
pub(super) use shown::write_peeked;

impl Service {
    pub(super) fn call(
        &mut self,
        action: Action,
        caller: &Caller<'_>,
        body: &[u8],
        now: Millis,
    ) -> Result<Answer, SqsError> {
        self.run_tasks(now);
        let reply = match action {
            Action::SendMessage => self.send_message(caller, body, now)?,
            Action::SendMessageBatch => self.send_message_batch(caller, body, now)?,
            Action::ReceiveMessage => return self.receive_message(caller, body, now),
            Action::DeleteMessage => self.delete_message(caller, body, now)?,
            Action::DeleteMessageBatch => self.delete_message_batch(caller, body, now)?,
            Action::ChangeMessageVisibility => self.change_message_visibility(caller, body, now)?,
            Action::ChangeMessageVisibilityBatch => self.change_message_visibility_batch(caller, body, now)?,
            Action::CreateQueue => self.create_queue(caller, body, now)?,
            Action::DeleteQueue => self.delete_queue(caller, body, now)?,
            Action::PurgeQueue => self.purge_queue(caller, body, now)?,
            Action::GetQueueUrl => self.get_queue_url(caller, body)?,
            Action::ListQueues => self.list_queues(caller, body)?,
            Action::ListDeadLetterSourceQueues => self.list_dead_letter_source_queues(caller, body)?,
            Action::GetQueueAttributes => self.get_queue_attributes(caller, body, now)?,
            Action::SetQueueAttributes => self.set_queue_attributes(caller, body, now)?,
            Action::TagQueue => self.tag_queue(caller, body)?,
            Action::UntagQueue => self.untag_queue(caller, body)?,
            Action::ListQueueTags => self.list_queue_tags(caller, body)?,
            Action::AddPermission => self.add_permission(caller, body, now)?,
            Action::RemovePermission => self.remove_permission(caller, body, now)?,
            Action::StartMessageMoveTask => self.start_message_move_task(body, now)?,
            Action::CancelMessageMoveTask => self.cancel_message_move_task(body)?,
            Action::ListMessageMoveTasks => self.list_message_move_tasks(body)?,
        };
        Ok(Answer::Reply(reply))
    }
}

/// The reply of an action whose output has no members: not even an empty object.
fn no_output() -> Vec<u8> {
    Vec::new()
}

/// The reply of an action whose output could have members.
fn no_members() -> Vec<u8> {
    b"{}".to_vec()
}
