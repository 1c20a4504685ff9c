// What a program does with SQS, by the AWS SDK for JavaScript: `node smoke.js ENDPOINT FOLDER`, with the SDK in FOLDER.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [endpoint, folder] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { SQSClient, ...sdk } = require("@aws-sdk/client-sqs");
const sqs = new SQSClient({
  endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
});
const call = (operation, input = {}) => sqs.send(new sdk[`${operation}Command`](input));
// The class of the error is what programs tell refusals by.
const refused = (name, operation, input) =>
  assert.rejects(call(operation, input), (error) => error instanceof sdk[name] && error.name === name);

const { QueueUrl } = await call("CreateQueue", {
  QueueName: "js-orders",
  Attributes: { VisibilityTimeout: "30", MessageRetentionPeriod: "3600" },
  tags: { team: "checkout" },
});
assert.equal((await call("GetQueueUrl", { QueueName: "js-orders" })).QueueUrl, QueueUrl);
assert.deepEqual((await call("ListQueues", { QueueNamePrefix: "js-" })).QueueUrls, [QueueUrl]);

// One message, with what goes beside its body.
const sent = await call("SendMessage", {
  QueueUrl,
  MessageBody: "héllo <&> \u{1f680}",
  MessageAttributes: {
    count: { DataType: "Number", StringValue: "5" },
    bytes: { DataType: "Binary", BinaryValue: new Uint8Array([0, 128, 255]) },
  },
});
let { Messages } = await call("ReceiveMessage", {
  QueueUrl,
  MessageAttributeNames: ["All"],
  MessageSystemAttributeNames: ["All"],
  WaitTimeSeconds: 5,
});
assert.equal(Messages.length, 1);
const [message] = Messages;
assert.equal(message.MessageId, sent.MessageId);
assert.equal(message.Body, "héllo <&> \u{1f680}");
assert.equal(message.MessageAttributes.count.StringValue, "5");
assert.deepEqual([...message.MessageAttributes.bytes.BinaryValue], [0, 128, 255]);
assert.equal(message.Attributes.ApproximateReceiveCount, "1");
await call("ChangeMessageVisibility", { QueueUrl, ReceiptHandle: message.ReceiptHandle, VisibilityTimeout: 0 });
({ Messages } = await call("ReceiveMessage", { QueueUrl, MessageSystemAttributeNames: ["ApproximateReceiveCount"] }));
assert.equal(Messages[0].Attributes.ApproximateReceiveCount, "2");
await call("DeleteMessage", { QueueUrl, ReceiptHandle: Messages[0].ReceiptHandle });

// Batches, of which a part may fail.
const batch = await call("SendMessageBatch", {
  QueueUrl,
  Entries: [
    { Id: "a", MessageBody: "1" },
    { Id: "b", MessageBody: "2" },
    { Id: "c", MessageBody: "\u0008" },
  ],
});
assert.deepEqual(batch.Successful.map((entry) => entry.Id), ["a", "b"]);
assert.deepEqual(batch.Failed.map((entry) => [entry.Id, entry.Code]), [["c", "InvalidMessageContents"]]);
({ Messages } = await call("ReceiveMessage", { QueueUrl, MaxNumberOfMessages: 10 }));
assert.deepEqual(Messages.map((each) => each.Body), ["1", "2"]);
const handles = Messages.map((each, position) => ({ Id: String(position), ReceiptHandle: each.ReceiptHandle }));
const changed = await call("ChangeMessageVisibilityBatch", {
  QueueUrl,
  Entries: handles.map((entry) => ({ ...entry, VisibilityTimeout: 60 })),
});
assert.equal(changed.Successful.length, 2);
assert.equal((await call("DeleteMessageBatch", { QueueUrl, Entries: handles })).Successful.length, 2);
assert.equal((await call("ReceiveMessage", { QueueUrl })).Messages, undefined);

// FIFO: order within a group, duplicates.
const fifo = (
  await call("CreateQueue", {
    QueueName: "js-jobs.fifo",
    Attributes: { FifoQueue: "true", ContentBasedDeduplication: "true" },
  })
).QueueUrl;
for (const body of ["first", "second", "first"]) {
  await call("SendMessage", { QueueUrl: fifo, MessageBody: body, MessageGroupId: "g" });
}
({ Messages } = await call("ReceiveMessage", {
  QueueUrl: fifo,
  MaxNumberOfMessages: 10,
  MessageSystemAttributeNames: ["MessageGroupId", "SequenceNumber"],
}));
assert.deepEqual(Messages.map((each) => each.Body), ["first", "second"]);
assert.equal(Messages[0].Attributes.MessageGroupId, "g");
assert.ok(BigInt(Messages[0].Attributes.SequenceNumber) < BigInt(Messages[1].Attributes.SequenceNumber));

// A dead-letter queue, and back from it.
const arn = async (url) =>
  (await call("GetQueueAttributes", { QueueUrl: url, AttributeNames: ["QueueArn"] })).Attributes.QueueArn;
const dead = (await call("CreateQueue", { QueueName: "js-dead" })).QueueUrl;
const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: await arn(dead), maxReceiveCount: 1 });
await call("SetQueueAttributes", { QueueUrl, Attributes: { RedrivePolicy, VisibilityTimeout: "0" } });
await call("SendMessage", { QueueUrl, MessageBody: "poison" });
await call("ReceiveMessage", { QueueUrl });
assert.equal((await call("ReceiveMessage", { QueueUrl })).Messages, undefined);
assert.deepEqual((await call("ListDeadLetterSourceQueues", { QueueUrl: dead })).queueUrls, [QueueUrl]);
await call("StartMessageMoveTask", { SourceArn: await arn(dead) });
await call("SetQueueAttributes", { QueueUrl, Attributes: { RedrivePolicy: "" } });
({ Messages } = await call("ReceiveMessage", { QueueUrl, WaitTimeSeconds: 20 }));
assert.equal(Messages[0].Body, "poison");
assert.equal((await call("ListMessageMoveTasks", { SourceArn: await arn(dead) })).Results.length, 1);

// Tags, permissions, purging.
await call("TagQueue", { QueueUrl, Tags: { stage: "test" } });
await call("UntagQueue", { QueueUrl, TagKeys: ["team"] });
assert.deepEqual((await call("ListQueueTags", { QueueUrl })).Tags, { stage: "test" });
await call("AddPermission", { QueueUrl, Label: "l", AWSAccountIds: ["123456789012"], Actions: ["SendMessage"] });
await call("RemovePermission", { QueueUrl, Label: "l" });
await call("SendMessage", { QueueUrl, MessageBody: "gone" });
await call("PurgeQueue", { QueueUrl });
assert.equal((await call("ReceiveMessage", { QueueUrl })).Messages, undefined);

// Errors are of their classes.
await refused("ReceiptHandleIsInvalid", "DeleteMessage", { QueueUrl, ReceiptHandle: "x" });
await refused("EmptyBatchRequest", "SendMessageBatch", { QueueUrl, Entries: [] });
await refused("QueueNameExists", "CreateQueue", { QueueName: "js-orders", Attributes: { DelaySeconds: "7" } });
await refused("InvalidAttributeName", "GetQueueAttributes", { QueueUrl, AttributeNames: ["Nonsense"] });
await call("DeleteQueue", { QueueUrl });
await refused("QueueDoesNotExist", "SendMessage", { QueueUrl, MessageBody: "a" });
const { version } = require(`${folder}/node_modules/@aws-sdk/client-sqs/package.json`);
console.log(`@aws-sdk/client-sqs ${version}`);
