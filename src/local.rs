//! The embedded SQS.
