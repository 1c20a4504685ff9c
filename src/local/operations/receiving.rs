//! ReceiveMessage, and what one does with what was received: DeleteMessage and ChangeMessageVisibility with their
//! batches.

use super::batches::{Outcomes, write_failure};
use super::shown::{WantedAttributes, write_messages};
use super::{no_members, no_output};
use crate::local::error::SqsError;
use crate::local::handle::Receipt as Opened;
use crate::local::input::{self, BatchInput, ReceiptInput, read, required};
use crate::local::ledger::QueueKind;
use crate::local::message::Millis;
use crate::local::queue::{MAX_IN_FLIGHT, Queue, ReceiptError};
use crate::local::service::{Answer, Caller, Service};
use crate::local::validate;
use crate::model::Action;

/// A receive that can be tried again: what a long poll keeps while it waits.
#[derive(Debug)]
pub(crate) struct Wait {
    pub queue: u32,
    /// Until when the caller waits.
    pub until: Millis,
    max: usize,
    visibility: u32,
    attempt: Option<String>,
    wanted: WantedAttributes,
}

impl Service {
    pub(super) fn receive_message(
        &mut self,
        caller: &Caller<'_>,
        body: &[u8],
        now: Millis,
    ) -> Result<Answer, SqsError> {
        let input: input::Receive<'_> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        let queue = self.queue_mut(id)?;
        let wait = match input.wait_time_seconds {
            None => queue.settings.receive_wait,
            Some(seconds) => {
                validate::within(seconds, 0, 20, "WaitTimeSeconds", "Must be >= 0 and <= 20, if provided.")?
            }
        };
        let most = input.max_number_of_messages.unwrap_or(1);
        let max =
            validate::within(most, 1, 10, "MaxNumberOfMessages", "Must be between 1 and 10, if provided.")? as usize;
        let visibility = match input.visibility_timeout {
            None => queue.settings.visibility_timeout,
            Some(seconds) => validate::visibility_timeout(seconds)?,
        };
        let attempt = match &input.receive_request_attempt_id {
            None => None,
            Some(attempt) if queue.is_fifo() => {
                validate::fifo_id(attempt, "ReceiveRequestAttemptId")?;
                Some(attempt.to_string())
            }
            Some(attempt) => {
                return Err(SqsError::invalid_value(
                    &**attempt,
                    "ReceiveRequestAttemptId",
                    "The request include parameter that is not valid for this queue type.",
                ));
            }
        };
        let wanted = WantedAttributes::of(
            [&input.attribute_names, &input.message_system_attribute_names]
                .map(|names| names.as_deref().unwrap_or_default()),
            input.message_attribute_names.as_deref().unwrap_or_default(),
        )?;
        let request = Wait { queue: id, until: now + Millis::from(wait) * 1_000, max, visibility, attempt, wanted };
        // The service tells short polls of a full queue; long polls and FIFO queues just bring nothing.
        if wait == 0 && !queue.is_fifo() && queue.counts(now).in_flight >= MAX_IN_FLIGHT {
            return Err(SqsError::over_limit("Too many messages in flight."));
        }
        // What is in flight now may be what waiting polls are to get next.
        self.touched.push(id);
        match self.try_receive(&request, now)? {
            Some(reply) => Ok(Answer::Reply(reply)),
            None if wait > 0 => Ok(Answer::Wait(request)),
            None => Ok(Answer::Reply(no_members())),
        }
    }

    /// Receives what can be had now; `None` when there is nothing.
    pub(crate) fn try_receive(&mut self, request: &Wait, now: Millis) -> Result<Option<Vec<u8>>, SqsError> {
        let dead_letter = self.dead_letter_queue(request.queue)?;
        let (queue, seal) = self.queue_and_seal(request.queue)?;
        let again = match &request.attempt {
            Some(attempt) => queue.receive_again(attempt, request.visibility, now),
            None => None,
        };
        let (keys, dead) = match again {
            Some(keys) => (keys, Vec::new()),
            None => {
                let most = dead_letter.map(|(_, most)| most);
                let received = queue.receive(request.max, request.visibility, most, now);
                if let Some(attempt) = &request.attempt
                    && !received.keys.is_empty()
                {
                    queue.remember_attempt(attempt, &received.keys, now);
                }
                (received.keys, received.dead)
            }
        };
        let reply = (!keys.is_empty()).then(|| write_messages(queue, seal, &keys, &request.wanted));
        let bytes = keys.iter().filter_map(|key| queue.message(*key)).map(|message| request.wanted.size(message)).sum();
        let (source, kind) = (queue.arn.clone(), QueueKind::of(queue.is_fifo()));
        self.ledger.carried(kind, Action::ReceiveMessage, keys.len(), bytes);
        if let Some((target, _)) = dead_letter {
            self.move_to_dead_letter_queue(dead, source, target, now)?;
        }
        Ok(reply)
    }

    pub(super) fn delete_message(
        &mut self,
        caller: &Caller<'_>,
        body: &[u8],
        now: Millis,
    ) -> Result<Vec<u8>, SqsError> {
        let input: ReceiptInput<'_> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        self.delete(id, &input, now)?;
        self.carried(id, Action::DeleteMessage, 1);
        Ok(no_output())
    }

    pub(super) fn delete_message_batch(
        &mut self,
        caller: &Caller<'_>,
        body: &[u8],
        now: Millis,
    ) -> Result<Vec<u8>, SqsError> {
        self.for_each_entry(caller, body, Action::DeleteMessageBatch, |service, id, entry| {
            service.delete(id, entry, now)
        })
    }

    pub(super) fn change_message_visibility(
        &mut self,
        caller: &Caller<'_>,
        body: &[u8],
        now: Millis,
    ) -> Result<Vec<u8>, SqsError> {
        let input: ReceiptInput<'_> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        self.change_visibility(id, &input, now)?;
        self.carried(id, Action::ChangeMessageVisibility, 1);
        Ok(no_output())
    }

    pub(super) fn change_message_visibility_batch(
        &mut self,
        caller: &Caller<'_>,
        body: &[u8],
        now: Millis,
    ) -> Result<Vec<u8>, SqsError> {
        self.for_each_entry(caller, body, Action::ChangeMessageVisibilityBatch, |service, id, entry| {
            service.change_visibility(id, entry, now)
        })
    }

    fn for_each_entry(
        &mut self,
        caller: &Caller<'_>,
        body: &[u8],
        action: Action,
        act: impl Fn(&mut Service, u32, &ReceiptInput<'_>) -> Result<(), SqsError>,
    ) -> Result<Vec<u8>, SqsError> {
        let input: BatchInput<'_, ReceiptInput<'_>> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        let entries = input.entries.as_deref().unwrap_or_default();
        let kind = [action.operation().name, "RequestEntry"].concat();
        validate::batch(entries, &kind, |entry| entry.id.as_deref())?;
        let mut carried = 0;
        let mut outcomes = Outcomes::new(entries.len() * 24);
        let fault = self.entry_fault.take();
        for (position, entry) in entries.iter().enumerate() {
            let entry_id = entry.id.as_deref().unwrap_or_default();
            let struck = fault.as_ref().and_then(|fault| fault.strike(position));
            match struck.map_or_else(|| act(self, id, entry), Err) {
                Ok(()) => {
                    carried += 1;
                    outcomes.successful(entry_id).close(b'}');
                }
                Err(error) => outcomes.failed(|reply| write_failure(reply, entry_id, &error)),
            }
        }
        self.carried(id, action, carried);
        Ok(outcomes.finish())
    }

    fn carried(&mut self, id: u32, action: Action, messages: usize) {
        let is_fifo = self.queue(id).is_ok_and(Queue::is_fifo);
        self.ledger.carried(QueueKind::of(is_fifo), action, messages, 0);
    }

    fn delete(&mut self, id: u32, input: &ReceiptInput<'_>, now: Millis) -> Result<(), SqsError> {
        let handle = required(&input.receipt_handle, "ReceiptHandle")?;
        let Opened { key, receive, .. } = self.open_handle(handle, id)?;
        let queue = self.queue_mut(id)?;
        match queue.delete(key, receive, now) {
            Ok(()) => {
                // Its group may be free now, or the queue below its limit of messages in flight.
                self.touched.push(id);
                Ok(())
            }
            Err(ReceiptError::Expired) => Err(expired(handle)),
            // A message that is gone is deleted.
            Err(ReceiptError::Gone | ReceiptError::TooLong) => Ok(()),
        }
    }

    fn change_visibility(&mut self, id: u32, input: &ReceiptInput<'_>, now: Millis) -> Result<(), SqsError> {
        let handle = required(&input.receipt_handle, "ReceiptHandle")?;
        let seconds = *required(&input.visibility_timeout, "VisibilityTimeout")?;
        let visibility = validate::visibility_timeout(seconds)?;
        let Opened { key, receive, .. } = self.open_handle(handle, id)?;
        match self.queue_mut(id)?.change_visibility(key, receive, visibility, now) {
            Ok(()) => {
                self.touched.push(id);
                Ok(())
            }
            Err(ReceiptError::TooLong) => Err(SqsError::invalid_value(
                seconds,
                "VisibilityTimeout",
                "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
            )),
            Err(ReceiptError::Expired) => Err(expired(handle)),
            Err(ReceiptError::Gone) => Err(SqsError::invalid_value(
                &**handle,
                "ReceiptHandle",
                "Message does not exist or is not available for visibility timeout change.",
            )),
        }
    }
}

fn expired(handle: &str) -> SqsError {
    SqsError::invalid_value(handle, "ReceiptHandle", "The receipt handle has expired.")
}
