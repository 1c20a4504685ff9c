//! What an error means: for the other entries of its batch, for a message, for a poll.

use super::error::{Error, ServiceError};

/// Whether a refusal of a whole batch would meet each of its entries alone as well. Any other may be one entry's
/// doing.
pub fn concerns_all(error: &ServiceError) -> bool {
    const CODES: [&str; 22] = [
        "AWS.SimpleQueueService.NonExistentQueue",
        "AWS.SimpleQueueService.QueueDeletedRecently",
        "QueueDoesNotExist",
        "InvalidAddress",
        "InvalidSecurity",
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "OverLimit",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnknownOperationException",
        "UnrecognizedClientException",
    ];
    let code = error.code.as_str();
    let kms = |code: &str| code.starts_with("Kms") || code.starts_with("KMS.");
    CODES.contains(&code)
        || kms(code)
        || kms(error.class_name())
        || matches!(error.reply.status, 401 | 403)
        // Throttled, or the service's trouble: its retries are spent.
        || error.retry().is_some()
}

/// Whether a refusal says that the message is not in flight any more, or not by this receipt handle.
pub fn is_gone(error: &Error) -> bool {
    const CODES: [&str; 4] =
        ["MessageNotInflight", "ReceiptHandleIsInvalid", "InvalidParameterValue", "InvalidParameterValueException"];
    match error {
        Error::Service(error) => {
            let code = error.code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(&error.code);
            CODES.contains(&code) || CODES.contains(&error.class_name())
        }
        _ => false,
    }
}

/// Failures after which it is worth asking again: the way there, the service's own trouble, too much asked of it or of KMS,
/// credentials that have run out, a source of them that does not answer. Not: no such queue, no access.
pub fn may_pass(error: &Error) -> bool {
    const CODES: [&str; 8] = [
        "OverLimit",
        "KmsThrottled",
        "KMS.ThrottlingException",
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "RequestThrottled",
        "ServiceUnavailable",
    ];
    match error {
        Error::Service(refusal) => {
            let code = refusal.code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(&refusal.code);
            refusal.retry().is_some()
                || refusal.reply.status >= 500
                || CODES.contains(&code)
                || CODES.contains(&refusal.class_name())
        }
        Error::Lost(_) | Error::Credentials { .. } | Error::Source(_) => true,
        Error::NoCredentials | Error::Runtime(_) => false,
    }
}
