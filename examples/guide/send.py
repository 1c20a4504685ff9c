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

    # Send a message
    response = sqs.send_message(
        QueueUrl=queue_url,
        MessageBody='Hello, SQS from Python!',
        MessageAttributes={
            'Author': {
                'StringValue': 'Python Developer',
                'DataType': 'String'
            }
        }
    )
    logging.info(f"Message sent with ID: {response['MessageId']}")
except Exception as e:
    logging.error(f"Error sending message: {e}")
