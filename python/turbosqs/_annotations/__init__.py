"""What type checkers alone read: our clients and replies as the types of the stub packages, where they are installed.

Programs are annotated with mypy_boto3_sqs, types_boto3_sqs or types_aiobotocore_sqs. Those are no dependencies: where
one is missing, its place is taken by types of ours. That is said by names that are imported twice, since a checker
passes over a ``*`` of what is not there. Of two types of one name mypy takes the first and pyright the last, so what is
to be preferred stands before and after what takes its place. Nothing here is ever run.
"""
