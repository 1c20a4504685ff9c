"""boto3's SQS client on a Rust core."""
