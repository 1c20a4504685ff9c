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

    # Receive a message to delete
    response = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=1, WaitTimeSeconds=5)

    if 'Messages' in response:
        message = response['Messages'][0]
        receipt_handle = message['ReceiptHandle']

        # Delete the message
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=receipt_handle)
        logging.info("Message deleted successfully.")
    else:
        logging.info("No messages to delete.")
except Exception as e:
    logging.error(f"Error deleting message: {e}")
