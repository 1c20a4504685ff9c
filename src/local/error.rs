//! What the service says when it refuses, in its own codes and words.

use std::time::Duration;

/// A refusal. `name` is the error's shape in the JSON protocol, `code` the code of the older query protocol,
/// which SQS still sends along in `x-amzn-query-error` and which the AWS SDKs report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqsError {
    pub name: &'static str,
    pub code: &'static str,
    pub status: u16,
    pub sender: bool,
    pub message: String,
}

impl SqsError {
    fn sender(name: &'static str, code: &'static str, message: impl Into<String>) -> SqsError {
        SqsError { name, code, status: 400, sender: true, message: message.into() }
    }

    /// The status of the few errors for which the service's model names another than 400.
    fn with_status(self, status: u16) -> SqsError {
        SqsError { status, ..self }
    }

    /// The `__type` of the reply: modelled errors live in the service's namespace, the rest in the framework's.
    pub(crate) fn namespace(&self) -> &'static str {
        match self.name {
            "InvalidParameterValueException"
            | "MissingRequiredParameterException"
            | "SerializationException"
            | "UnknownOperationException"
            | "AccessDeniedException"
            | "RequestTimeoutException"
            | "InternalFailure"
            | "ServiceUnavailableException" => "com.amazon.coral.service",
            _ => "com.amazonaws.sqs",
        }
    }

    pub(crate) fn queue_does_not_exist() -> SqsError {
        SqsError::sender(
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
            "The specified queue does not exist.",
        )
    }

    /// `difference` names what is different: `attribute DelaySeconds`.
    pub(crate) fn queue_name_exists(difference: &str) -> SqsError {
        SqsError::sender(
            "QueueNameExists",
            "QueueAlreadyExists",
            format!("A queue already exists with the same name and a different value for {difference}"),
        )
    }

    pub(crate) fn queue_deleted_recently() -> SqsError {
        SqsError::sender(
            "QueueDeletedRecently",
            "AWS.SimpleQueueService.QueueDeletedRecently",
            "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
        )
    }

    pub(crate) fn purge_in_progress(queue: &str) -> SqsError {
        SqsError::sender(
            "PurgeQueueInProgress",
            "AWS.SimpleQueueService.PurgeQueueInProgress",
            format!("Only one PurgeQueue operation on {queue} is allowed every 60 seconds."),
        )
        .with_status(403)
    }

    pub(crate) fn missing(parameter: &str) -> SqsError {
        SqsError::sender(
            "MissingRequiredParameterException",
            "MissingParameter",
            format!("The request must contain the parameter {parameter}."),
        )
    }

    /// What a batch says of an entry that lacks a member, or has nothing in it.
    pub(crate) fn empty_value(member: &str) -> SqsError {
        SqsError::sender("EmptyValue", "EmptyValue", format!("No Value Found for {member}."))
    }

    pub(crate) fn invalid_parameter(message: impl Into<String>) -> SqsError {
        SqsError::sender("InvalidParameterValueException", "InvalidParameterValue", message)
    }

    /// The service's usual sentence about one parameter.
    pub(crate) fn invalid_value(value: impl std::fmt::Display, parameter: &str, reason: &str) -> SqsError {
        SqsError::invalid_parameter(format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}"))
    }

    pub(crate) fn invalid_attribute_name(message: impl Into<String>) -> SqsError {
        SqsError::sender("InvalidAttributeName", "InvalidAttributeName", message)
    }

    pub(crate) fn unknown_attribute(name: &str) -> SqsError {
        SqsError::invalid_attribute_name(format!("Unknown Attribute {name}."))
    }

    pub(crate) fn invalid_attribute_value(message: impl Into<String>) -> SqsError {
        SqsError::sender("InvalidAttributeValue", "InvalidAttributeValue", message)
    }

    pub(crate) fn invalid_contents(message: impl Into<String>) -> SqsError {
        SqsError::sender("InvalidMessageContents", "InvalidMessageContents", message)
    }

    pub(crate) fn receipt_handle_is_invalid(handle: &str) -> SqsError {
        SqsError::sender(
            "ReceiptHandleIsInvalid",
            "ReceiptHandleIsInvalid",
            format!("The input receipt handle \"{handle}\" is not a valid receipt handle."),
        )
        .with_status(404)
    }

    pub(crate) fn over_limit(message: impl Into<String>) -> SqsError {
        SqsError::sender("OverLimit", "OverLimit", message).with_status(403)
    }

    pub(crate) fn empty_batch(entry: &str) -> SqsError {
        SqsError::sender(
            "EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
            format!("There should be at least one {entry} in the request."),
        )
    }

    pub(crate) fn too_many_entries(count: usize) -> SqsError {
        SqsError::sender(
            "TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            format!("Maximum number of entries per request are 10. You have sent {count}."),
        )
    }

    pub(crate) fn entry_ids_not_distinct(id: &str) -> SqsError {
        SqsError::sender(
            "BatchEntryIdsNotDistinct",
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            format!("Id {id} repeated."),
        )
    }

    pub(crate) fn invalid_entry_id() -> SqsError {
        SqsError::sender(
            "InvalidBatchEntryId",
            "AWS.SimpleQueueService.InvalidBatchEntryId",
            "A batch entry id can only contain alphanumeric characters, hyphens and underscores. \
             It can be at most 80 letters long.",
        )
    }

    pub(crate) fn batch_too_long(limit: usize, sent: usize) -> SqsError {
        SqsError::sender(
            "BatchRequestTooLong",
            "AWS.SimpleQueueService.BatchRequestTooLong",
            format!("Batch requests cannot be longer than {limit} bytes. You have sent {sent} bytes."),
        )
    }

    pub(crate) fn resource_not_found(message: impl Into<String>) -> SqsError {
        SqsError::sender("ResourceNotFoundException", "ResourceNotFoundException", message).with_status(404)
    }

    pub(crate) fn invalid_address(address: &str) -> SqsError {
        SqsError::sender(
            "InvalidAddress",
            "InvalidAddress",
            format!("The address {address} is not valid for this endpoint."),
        )
        .with_status(404)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> SqsError {
        SqsError::sender("UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation", message)
    }

    pub(crate) fn unknown_operation(message: impl Into<String>) -> SqsError {
        SqsError::sender("UnknownOperationException", "InvalidAction", message)
    }

    pub(crate) fn serialization(message: impl Into<String>) -> SqsError {
        SqsError::sender("SerializationException", "SerializationException", message)
    }

    pub(crate) fn too_large(limit: usize) -> SqsError {
        SqsError::sender(
            "SerializationException",
            "RequestEntityTooLarge",
            format!("The request body is longer than {limit} bytes."),
        )
        .with_status(413)
    }

    pub(crate) fn access_denied(message: impl Into<String>) -> SqsError {
        SqsError::sender("AccessDeniedException", "AccessDenied", message).with_status(403)
    }

    /// The request came by plain HTTP to a server that speaks TLS.
    pub(crate) fn invalid_security(message: impl Into<String>) -> SqsError {
        SqsError::sender("InvalidSecurity", "InvalidSecurity", message).with_status(403)
    }

    /// The body of a request did not come in time.
    pub(crate) fn too_slow(limit: Duration) -> SqsError {
        SqsError::sender(
            "RequestTimeoutException",
            "RequestTimeout",
            format!("The request body did not arrive within {} seconds.", limit.as_secs_f64()),
        )
        .with_status(408)
    }

    /// There is no room for more.
    pub(crate) fn overloaded(what: &str) -> SqsError {
        let message = format!("The server holds as much of {what} as it may: try again.");
        SqsError { message, ..SqsError::server_fault(503) }
    }

    pub(crate) fn throttled() -> SqsError {
        SqsError::sender("RequestThrottled", "RequestThrottled", "Request is throttled.").with_status(403)
    }

    /// The service's own fault, with this HTTP status.
    pub(crate) fn server_fault(status: u16) -> SqsError {
        let (name, code, message) = match status {
            503 => (
                "ServiceUnavailableException",
                "ServiceUnavailable",
                "Service is unable to handle the request just now.",
            ),
            _ => ("InternalFailure", "InternalFailure", "The service failed for a reason of its own."),
        };
        SqsError { name, code, status, sender: false, message: message.to_owned() }
    }
}
