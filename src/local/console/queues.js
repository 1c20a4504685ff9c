// The list of queues, and the form for new ones.

import { useState } from "./hooks.js";
import { call } from "./api.js";
import { AreaField, CheckField, Complaint, count, duration, html, SelectField, TextField, TimeField } from "./parts.js";

export const toQueue = (name, tab = "") => `#/queue/${encodeURIComponent(name)}${tab && `/${tab}`}`;

export function QueueList({ data, search, offset, limit, onSearch, onOffset }) {
  const last = Math.min(offset + limit, data.total);
  return html`<section aria-labelledby="title">
    <div class="head">
      <h1 id="title">Queues <span class="badge">${count(data.total)}</span></h1>
      <button class="primary" onClick=${() => { location.hash = "#/create"; }}>Create queue</button>
    </div>
    <div class="bar">
      <input type="search" aria-label="Search" placeholder="Search by name" value=${search}
        onInput=${(event) => onSearch(event.target.value.trim())} />
      ${data.total > limit && html`<div class="pager">
        <span>${count(offset + 1)} – ${count(last)} of ${count(data.total)}</span>
        <button aria-label="Previous page" disabled=${offset === 0} onClick=${() => onOffset(Math.max(0, offset - limit))}>‹</button>
        <button aria-label="Next page" disabled=${last >= data.total} onClick=${() => onOffset(offset + limit)}>›</button>
      </div>`}
    </div>
    ${data.queues.length === 0
      ? html`<div class="empty">
          ${search ? html`<p>No queue has “${search}” in its name.</p>` : html`<p><strong>There are no queues yet.</strong></p>
            <p>Create one here, or by any AWS SDK with the endpoint <code>${data.endpoint}</code>.</p>`}
        </div>`
      : html`<div class="scroll"><table class="queues">
          <thead><tr>
            <th scope="col">Name</th><th scope="col">Type</th>
            <th scope="col" class="number">Messages available</th><th scope="col" class="number">Messages in flight</th>
            <th scope="col" class="number">Messages delayed</th>
            ${data.peek && html`<th scope="col" class="number">Oldest message</th>`}<th scope="col"></th>
          </tr></thead>
          <tbody>${data.queues.map((queue) => html`<tr key=${queue.name}>
            <td><a href=${toQueue(queue.name)}>${queue.name}</a></td>
            <td><span class=${`tag ${queue.fifo ? "fifo" : ""}`}>${queue.fifo ? "FIFO" : "Standard"}</span></td>
            <td class="number">${count(queue.visible)}</td><td class="number">${count(queue.inFlight)}</td>
            <td class="number">${count(queue.delayed)}</td>
            ${data.peek && html`<td class="number">${duration(queue.oldest)}</td>`}
            <td class="number"><a href=${toQueue(queue.name, "messages")} aria-label=${`Messages of ${queue.name}`}>Messages</a></td>
          </tr>`)}</tbody>
        </table></div>`}
  </section>`;
}

const DEFAULTS = {
  VisibilityTimeout: "30",
  MessageRetentionPeriod: "345600",
  DelaySeconds: "0",
  MaximumMessageSize: "1048576",
  ReceiveMessageWaitTimeSeconds: "0",
};

// What of a queue the form shows, from its attributes.
export function fromAttributes(attributes) {
  const redrive = attributes.RedrivePolicy ? JSON.parse(attributes.RedrivePolicy) : {};
  const pretty = (text) => (text ? JSON.stringify(JSON.parse(text), null, 2) : "");
  return {
    ...Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, attributes[name] ?? DEFAULTS[name]])),
    fifo: attributes.FifoQueue === "true",
    ContentBasedDeduplication: attributes.ContentBasedDeduplication === "true",
    highThroughput: attributes.FifoThroughputLimit === "perMessageGroupId",
    encryption: attributes.KmsMasterKeyId ? "kms" : attributes.SqsManagedSseEnabled === "false" ? "none" : "sqs",
    KmsMasterKeyId: attributes.KmsMasterKeyId ?? "",
    deadLetterTargetArn: redrive.deadLetterTargetArn ?? "",
    maxReceiveCount: String(redrive.maxReceiveCount ?? 10),
    RedriveAllowPolicy: pretty(attributes.RedriveAllowPolicy),
    Policy: pretty(attributes.Policy),
  };
}

// And back. What is as it was is left out.
export function toAttributes(form, before) {
  const after = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, form[name]]));
  if (form.fifo) {
    after.ContentBasedDeduplication = String(form.ContentBasedDeduplication);
    after.DeduplicationScope = form.highThroughput ? "messageGroup" : "queue";
    after.FifoThroughputLimit = form.highThroughput ? "perMessageGroupId" : "perQueue";
  }
  if (form.encryption === "kms") after.KmsMasterKeyId = form.KmsMasterKeyId;
  else {
    after.SqsManagedSseEnabled = String(form.encryption === "sqs");
    if (before?.KmsMasterKeyId) after.KmsMasterKeyId = "";
  }
  const target = form.deadLetterTargetArn.trim();
  after.RedrivePolicy = target
    ? JSON.stringify({ deadLetterTargetArn: target, maxReceiveCount: Number(form.maxReceiveCount) })
    : "";
  const compact = (text) => {
    try {
      return text.trim() ? JSON.stringify(JSON.parse(text)) : "";
    } catch {
      return text;
    }
  };
  after.RedriveAllowPolicy = compact(form.RedriveAllowPolicy);
  after.Policy = compact(form.Policy);
  const known = before ?? { ...DEFAULTS, SqsManagedSseEnabled: "true", ContentBasedDeduplication: "false", DeduplicationScope: "queue", FifoThroughputLimit: "perQueue" };
  return Object.fromEntries(Object.entries(after).filter(([name, value]) => value !== (known[name] ?? "")));
}

// Everything that can be set of a queue but its name and type.
export function SettingsFields({ form, change }) {
  const set = (name) => (value) => change({ [name]: value });
  return html`
    <fieldset><legend>Configuration</legend><div class="grid">
      <${TimeField} label="Visibility timeout" seconds=${form.VisibilityTimeout} onInput=${set("VisibilityTimeout")}
        most=${43200} hint="How long a received message is hidden from others: up to 12 hours." />
      <${TimeField} label="Message retention period" seconds=${form.MessageRetentionPeriod} most=${1209600}
        onInput=${set("MessageRetentionPeriod")} hint="How long a message is kept: from 1 minute to 14 days." />
      <${TimeField} label="Delivery delay" seconds=${form.DelaySeconds} onInput=${set("DelaySeconds")} most=${900}
        hint="How long a new message is held back: up to 15 minutes." />
      <${TimeField} label="Receive message wait time" seconds=${form.ReceiveMessageWaitTimeSeconds} most=${20}
        onInput=${set("ReceiveMessageWaitTimeSeconds")} hint="How long a receive waits for messages: up to 20 seconds." />
      <${TextField} label="Maximum message size" type="number" min="1024" max="1048576" value=${form.MaximumMessageSize}
        onInput=${set("MaximumMessageSize")} hint="In bytes: from 1,024 to 1,048,576." />
      ${form.fifo && html`<${CheckField} label="Content-based deduplication" checked=${form.ContentBasedDeduplication}
        onInput=${set("ContentBasedDeduplication")} hint="Messages of the same body within five minutes are one." />`}
      ${form.fifo && html`<${CheckField} label="High throughput" checked=${form.highThroughput}
        onInput=${set("highThroughput")} hint="Deduplication and quotas by message group." />`}
    </div></fieldset>
    <fieldset><legend>Encryption and access</legend><div class="grid">
      <${SelectField} label="Encryption" value=${form.encryption} onInput=${set("encryption")}
        options=${[["sqs", "Amazon SQS key (SSE-SQS)"], ["kms", "AWS KMS key (SSE-KMS)"], ["none", "Disabled"]]} />
      ${form.encryption === "kms" && html`<${TextField} label="KMS key" value=${form.KmsMasterKeyId}
        onInput=${set("KmsMasterKeyId")} hint="Its id, ARN or alias." />`}
      <${AreaField} label="Access policy" value=${form.Policy} onInput=${set("Policy")} rows=${form.Policy ? 10 : 3}
        hint="A policy in JSON; empty for none." />
    </div></fieldset>
    <fieldset><legend>Dead-letter queue</legend><div class="grid">
      <${TextField} label="Dead-letter queue" value=${form.deadLetterTargetArn} onInput=${set("deadLetterTargetArn")}
        placeholder="arn:aws:sqs:…" hint="The ARN of the queue for messages that are received too often; empty for none." />
      <${TextField} label="Maximum receives" type="number" min="1" max="1000" value=${form.maxReceiveCount}
        onInput=${set("maxReceiveCount")} disabled=${!form.deadLetterTargetArn}
        hint="After so many receives a message goes there: from 1 to 1,000." />
      <${AreaField} label="Redrive allow policy" value=${form.RedriveAllowPolicy} onInput=${set("RedriveAllowPolicy")}
        rows=${2} hint="Which queues may use this one as their dead-letter queue, in JSON; empty for all." />
    </div></fieldset>`;
}

// Keys and values that can be added and removed.
export function TagFields({ tags, onInput }) {
  const change = (at, part, value) => onInput(tags.map((tag, each) => (each === at ? { ...tag, [part]: value } : tag)));
  return html`<fieldset><legend>Tags</legend>
    ${tags.map((tag, at) => html`<div class="row" key=${at}>
      <input aria-label="Tag key" placeholder="Key" value=${tag.key} onInput=${(event) => change(at, "key", event.target.value)} />
      <input aria-label="Tag value" placeholder="Value" value=${tag.value} onInput=${(event) => change(at, "value", event.target.value)} />
      <button type="button" aria-label=${`Remove tag ${tag.key}`} onClick=${() => onInput(tags.filter((_, each) => each !== at))}>Remove</button>
    </div>`)}
    <button type="button" onClick=${() => onInput([...tags, { key: "", value: "" }])}>Add tag</button>
  </fieldset>`;
}

export const asTags = (rows) => Object.fromEntries(rows.filter((row) => row.key).map((row) => [row.key, row.value]));

export function CreateQueue({ refresh }) {
  const [name, setName] = useState("");
  const [form, setForm] = useState(fromAttributes({}));
  const [tags, setTags] = useState([]);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const change = (part) => setForm((form) => ({ ...form, ...part }));
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    const whole = form.fifo && !name.endsWith(".fifo") ? `${name}.fifo` : name;
    const attributes = { ...toAttributes(form, null), ...(form.fifo ? { FifoQueue: "true" } : {}) };
    try {
      await call("CreateQueue", { QueueName: whole, Attributes: attributes, tags: asTags(tags) });
      await refresh();
      location.hash = toQueue(whole);
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };
  return html`<section aria-labelledby="title">
    <h1 id="title">Create queue</h1>
    <form onSubmit=${submit}>
      <fieldset><legend>Details</legend><div class="grid">
        <${TextField} label="Name" value=${name} onInput=${setName} required maxlength="80" pattern="[A-Za-z0-9_\\-]+(\\.fifo)?"
          hint="Letters, digits, hyphens and underscores: up to 80. A FIFO queue's ends in .fifo, which is added for you." />
        <${CheckField} label="FIFO" checked=${form.fifo} onInput=${(fifo) => change({ fifo })}
          hint="First in, first out within a message group, each message once. It cannot be changed later." />
      </div></fieldset>
      <${SettingsFields} form=${form} change=${change} />
      <${TagFields} tags=${tags} onInput=${setTags} />
      <${Complaint} error=${error} />
      <div class="buttons end">
        <a class="button" href="#/">Cancel</a>
        <button class="primary" type="submit" disabled=${busy}>Create queue</button>
      </div>
    </form>
  </section>`;
}
