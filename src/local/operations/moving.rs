//! Starting, cancelling and listing message move tasks.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::local::error::SqsError;
use crate::local::input::{Administration, read, required};
use crate::local::message::Millis;
use crate::local::reply::{ReplyWriter, push_uuid};
use crate::local::service::{Service, parse_arn};
use crate::local::tasks::{MoveTask, Status};
use crate::local::validate;

impl Service {
    pub(super) fn start_message_move_task(&mut self, body: &[u8], now: Millis) -> Result<Vec<u8>, SqsError> {
        let input: Administration<'_> = read(body)?;
        let source_arn = required(&input.source_arn, "SourceArn")?;
        let source = self.find_for_task(source_arn, "SourceArn")?;
        if self.sources_of(source_arn).is_empty() {
            return Err(SqsError::invalid_parameter("Source queue must be configured as a Dead Letter Queue."));
        }
        let mut fixed = None;
        if let Some(arn) = input.destination_arn.as_deref() {
            let destination = self.find_for_task(arn, "DestinationArn")?;
            if destination == source {
                return Err(SqsError::invalid_parameter("Source and destination must not be the same queue."));
            }
            if self.queue(destination)?.is_fifo() != self.queue(source)?.is_fifo() {
                return Err(SqsError::invalid_parameter("Source and destination must be queues of the same type."));
            }
            fixed = Some((arn.into(), destination));
        }
        let rate = match input.max_number_of_messages_per_second {
            None => None,
            Some(rate) => Some(validate::within(
                rate,
                1,
                500,
                "MaxNumberOfMessagesPerSecond",
                "Must be between 1 and 500, if provided.",
            )?),
        };
        if self.tasks.iter().any(|task| task.source_id == source && task.status == Status::Running) {
            return Err(SqsError::invalid_parameter(
                "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
            ));
        }
        let to_move = self.queue_mut(source)?.counts(now).visible as u64;
        let task = MoveTask {
            id: 0,
            source: (&**source_arn).into(),
            source_id: source,
            destination: fixed,
            rate,
            started_at: now,
            to_move,
            moved: 0,
            status: Status::Running,
            blocked_until: None,
            failure: None,
        };
        let id = self.add_task(task, now);
        let mut reply = ReplyWriter::object(256);
        reply.key("TaskHandle").text(&handle(id, source_arn));
        Ok(reply.finish())
    }

    pub(super) fn cancel_message_move_task(&mut self, body: &[u8]) -> Result<Vec<u8>, SqsError> {
        let input: Administration<'_> = read(body)?;
        let text = required(&input.task_handle, "TaskHandle")?;
        let (id, source) =
            open(text).ok_or_else(|| SqsError::invalid_parameter("Value for parameter TaskHandle is invalid."))?;
        self.find_for_task(&source, "SourceArn")?;
        let task = self.tasks.iter_mut().find(|task| task.source.as_ref() == source && uuid(task.id) == id);
        let task = task.ok_or_else(|| SqsError::resource_not_found("Task does not exist."))?;
        if task.status != Status::Running {
            return Err(SqsError::unsupported("Only a running task can be cancelled."));
        }
        task.status = Status::Cancelled;
        let mut reply = ReplyWriter::object(64);
        reply.key("ApproximateNumberOfMessagesMoved").number(task.moved);
        Ok(reply.finish())
    }

    pub(super) fn list_message_move_tasks(&mut self, body: &[u8]) -> Result<Vec<u8>, SqsError> {
        let input: Administration<'_> = read(body)?;
        let source = required(&input.source_arn, "SourceArn")?;
        let most = validate::within(
            input.max_results.unwrap_or(1),
            1,
            10,
            "MaxResults",
            "Must be between 1 and 10, if provided.",
        )?;
        self.find_for_task(source, "SourceArn")?;
        let mut reply = ReplyWriter::object(512);
        reply.key("Results").open(b'[');
        let newest_first = self.tasks.iter().rev().filter(|task| *task.source == **source);
        for task in newest_first.take(most as usize) {
            reply.open(b'{');
            if task.status == Status::Running {
                reply.key("TaskHandle").text(&handle(task.id, source));
            }
            reply.key("Status").text(task.status.name()).key("SourceArn").text(&task.source);
            if let Some((destination, _)) = &task.destination {
                reply.key("DestinationArn").text(destination);
            }
            if let Some(rate) = task.rate {
                reply.key("MaxNumberOfMessagesPerSecond").number(u64::from(rate));
            }
            reply.key("ApproximateNumberOfMessagesMoved").number(task.moved);
            reply.key("ApproximateNumberOfMessagesToMove").number(task.to_move);
            if let Some(reason) = task.failure {
                reply.key("FailureReason").text(reason);
            }
            reply.key("StartedTimestamp").number(task.started_at).close(b'}');
        }
        reply.close(b']');
        Ok(reply.finish())
    }

    fn find_for_task(&self, arn: &str, parameter: &str) -> Result<u32, SqsError> {
        if parse_arn(arn).is_none() {
            return Err(SqsError::invalid_parameter(format!(
                "You must use this format to specify the {parameter}: \
                 arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
            )));
        }
        self.find_by_arn(arn).ok_or_else(|| {
            SqsError::resource_not_found(format!(
                "The resource that you specified for the {parameter} parameter doesn't exist."
            ))
        })
    }
}

fn uuid(id: u128) -> String {
    let mut text = Vec::with_capacity(36);
    push_uuid(id, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn handle(id: u128, source: &str) -> String {
    BASE64_STANDARD.encode(json!({"taskId": uuid(id), "sourceArn": source}).to_string())
}

/// Task id and source of a handle.
fn open(handle: &str) -> Option<(String, String)> {
    let text: Value = serde_json::from_slice(&BASE64_STANDARD.decode(handle).ok()?).ok()?;
    Some((text.get("taskId")?.as_str()?.to_owned(), text.get("sourceArn")?.as_str()?.to_owned()))
}
