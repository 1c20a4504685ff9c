import turbosqs as boto3
import logging

# Set up logging
logging.basicConfig(level=logging.INFO)

# Initialize the SQS client
sqs = boto3.client('sqs')
queue_name = 'my-sqs-queue'

try:
    # Get the queue URL
    queue_url = sqs.get_queue_url(QueueName=queue_name)['QueueUrl']
    logging.info(f"Queue URL: {queue_url}")

    # Receive a message
    response = sqs.receive_message(
        QueueUrl=queue_url,
        MaxNumberOfMessages=1,
        WaitTimeSeconds=5,
        MessageAttributeNames=['All']
    )

    if 'Messages' in response:
        message = response['Messages'][0]
        logging.info(f"Message received: {message['Body']}")
    else:
        logging.info("No messages available.")
except Exception as e:
    logging.error(f"Error receiving message: {e}")
