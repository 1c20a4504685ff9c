//! What an error means: for another attempt, for the other entries of its batch, for a message, for a poll.

use super::error::{Error, Retry, ServiceError};
use crate::model::ErrorShape;

impl ServiceError {
    /// Whether, and as what, botocore's standard mode would try again after this answer.
    pub(crate) fn retry(&self) -> Option<Retry> {
        const TRANSIENT_STATUS: [u16; 4] = [500, 502, 503, 504];
        const TRANSIENT: [&str; 3] = ["RequestTimeout", "RequestTimeoutException", "PriorRequestNotComplete"];
        const THROTTLED: [&str; 14] = [
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestThrottledException",
            "TooManyRequestsException",
            "ProvisionedThroughputExceededException",
            "TransactionInProgressException",
            "RequestLimitExceeded",
            "BandwidthLimitExceeded",
            "LimitExceededException",
            "RequestThrottled",
            "SlowDown",
            "PriorRequestNotComplete",
            "EC2ThrottledException",
        ];
        let code = self.code.as_str();
        let throttled_by_status = || self.reply.status == 429 && ErrorShape::of_code(code).is_none();
        if THROTTLED.contains(&code) || throttled_by_status() {
            Some(Retry::Throttled)
        } else if TRANSIENT.contains(&code) || TRANSIENT_STATUS.contains(&self.reply.status) {
            Some(Retry::Transient)
        } else {
            None
        }
    }
}

/// Whether a refusal of a whole batch would meet each of its entries alone as well. Any other may be one entry's
/// doing.
pub(crate) fn concerns_all(error: &ServiceError) -> bool {
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
        // Throttled, or the service's failure: its retries are spent.
        || error.retry().is_some()
}

/// Whether a refusal says that the message is not in flight any more, or not by this receipt handle.
pub(crate) fn is_gone(error: &Error) -> bool {
    const CODES: [&str; 4] =
        ["MessageNotInflight", "ReceiptHandleIsInvalid", "InvalidParameterValue", "InvalidParameterValueException"];
    match error {
        Error::Service(refusal) => is_named(refusal, &CODES),
        _ => false,
    }
}

/// Whether a refusal has one of these codes, by whichever of its names.
fn is_named(refusal: &ServiceError, codes: &[&str]) -> bool {
    let code = refusal.code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(&refusal.code);
    codes.contains(&code) || codes.contains(&refusal.class_name())
}

/// Whether the service says that the credentials have run out.
pub(crate) fn is_expired(error: &Error) -> bool {
    const CODES: [&str; 3] = ["ExpiredToken", "ExpiredTokenException", "RequestExpired"];
    matches!(error, Error::Service(refusal) if is_named(refusal, &CODES))
}

/// Failures after which it is worth asking again: the way there, the service's own failures, too much asked of it or of KMS,
/// credentials that have run out, a source of them that does not answer. Not: no such queue, no access.
pub(crate) fn may_pass(error: &Error) -> bool {
    const CODES: [&str; 5] =
        ["OverLimit", "KmsThrottled", "KMS.ThrottlingException", "RequestThrottled", "ServiceUnavailable"];
    match error {
        Error::Service(refusal) => {
            refusal.retry().is_some() || refusal.reply.status >= 500 || is_expired(error) || is_named(refusal, &CODES)
        }
        Error::Lost(_) | Error::Credentials { .. } | Error::Source(_) => true,
        Error::NoCredentials | Error::Runtime(_) => false,
    }
}
