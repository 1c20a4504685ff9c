import turbosqs as boto3
import logging

# Set up logging
logging.basicConfig(level=logging.INFO)

# Initialize the SQS client
sqs = boto3.client('sqs')

queue_name = 'my-sqs-queue'

try:
    response = sqs.create_queue(
        QueueName=queue_name,
        Attributes={
            'DelaySeconds': '0',
            'VisibilityTimeout': '30'
        }
    )
    logging.info(f"Queue created: {response['QueueUrl']}")
except Exception as e:
    logging.error(f"Error creating queue: {e}")
