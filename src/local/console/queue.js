// One queue: what goes on in it, its messages, settings, dead letters, tags and permissions.

import { useEffect, useState } from "./hooks.js";
import { call, nameOf } from "./api.js";
import { Chart, Complaint, Confirm, count, duration, html, TextField, time, useInterval, useLatest } from "./parts.js";
import { Messages } from "./messages.js";
import { asTags, fromAttributes, SettingsFields, TagFields, toAttributes, toQueue } from "./queues.js";

// How fast a counter grows, a second, from one sample to the next.
export function rates(samples, name) {
  const values = [];
  for (let at = 1; at < samples.length; at += 1) {
    const [before, after] = [samples[at - 1], samples[at]];
    const seconds = (after.at - before.at) / 1000;
    values.push(seconds > 0 && after[name] !== undefined ? Math.max(0, (after[name] - before[name]) / seconds) : null);
  }
  return values;
}

const rate = (number) => (number >= 100 ? count(Math.round(number)) : number.toFixed(1));

export function Queue({ name, tab, data, samples, refresh }) {
  const [asked, setAsked] = useState(null);
  const row = data.queues.find((queue) => queue.name === name);
  const url = row?.url;
  const [attributes, setAttributes] = useState(null);
  const [error, setError] = useState(null);
  const latest = useLatest();
  const load = async () => {
    if (!url) return;
    const isLatest = latest();
    try {
      const found = (await call("GetQueueAttributes", { QueueUrl: url, AttributeNames: ["All"] })).Attributes;
      if (!isLatest()) return;
      setAttributes(found);
      setError(null);
    } catch (problem) {
      if (isLatest()) setError(problem);
    }
  };
  useEffect(() => {
    load();
  }, [url, tab]);
  if (!row) {
    const known = data.total === 0 || !data.queues.length || !samples.length;
    return html`<section><h1>${name}</h1><p class="quiet">${known ? "Looking for the queue …" : ""}</p>
      ${data.total === 0 && html`<p>There is no such queue. <a href="#/">All queues</a></p>`}</section>`;
  }
  const tabs = [["", "Overview"], ["messages", "Send and receive messages"], ["edit", "Edit"], ["redrive", "Dead-letter queue"], ["tags", "Tags"], ["permissions", "Permissions"]];
  const purge = async () => {
    await call("PurgeQueue", { QueueUrl: url });
    setAsked(null);
    refresh();
  };
  const remove = async () => {
    await call("DeleteQueue", { QueueUrl: url });
    // There the queues are asked for anew.
    location.hash = "#/";
  };
  const shared = { url, attributes, data, reload: load, refresh, row };
  return html`<section aria-labelledby="title">
    <p class="crumbs"><a href="#/">Queues</a></p>
    <div class="head">
      <h1 id="title">${name} <span class=${`tag ${row.fifo ? "fifo" : ""}`}>${row.fifo ? "FIFO" : "Standard"}</span></h1>
      <div class="buttons">
        <button onClick=${() => setAsked("purge")}>Purge</button>
        <button class="danger-text" onClick=${() => setAsked("delete")}>Delete queue</button>
      </div>
    </div>
    <nav class="tabs" aria-label="Queue">
      ${tabs.map(([key, text]) => html`<a href=${toQueue(name, key)} aria-current=${key === tab ? "page" : undefined}>${text}</a>`)}
    </nav>
    <${Complaint} error=${error} />
    ${tab === "" && html`<${Overview} ...${shared} samples=${samples} />`}
    ${tab === "messages" && html`<${Messages} ...${shared} />`}
    ${tab === "edit" && html`<${Edit} ...${shared} />`}
    ${tab === "redrive" && attributes && html`<${Redrive} ...${shared} />`}
    ${tab === "tags" && html`<${Tags} ...${shared} />`}
    ${tab === "permissions" && attributes && html`<${Permissions} ...${shared} />`}
    ${asked === "purge" && html`<${Confirm} title="Purge queue?" action="Purge" onConfirm=${purge} onCancel=${() => setAsked(null)}
      text=${`All messages of ${name} are deleted, those in flight included. That cannot be undone.`} />`}
    ${asked === "delete" && html`<${Confirm} title="Delete queue?" action="Delete queue" onConfirm=${remove} onCancel=${() => setAsked(null)}
      text=${`${name} and all of its messages are deleted. That cannot be undone.`} />`}
  </section>`;
}

function Overview({ row, url, attributes, samples, data }) {
  const of = (name) => samples.map((sample) => sample[name] ?? null);
  const facts = attributes && [
    ["URL", url],
    ["ARN", attributes.QueueArn],
    ["Visibility timeout", duration(attributes.VisibilityTimeout)],
    ["Message retention period", duration(attributes.MessageRetentionPeriod)],
    ["Delivery delay", duration(attributes.DelaySeconds)],
    ["Receive message wait time", duration(attributes.ReceiveMessageWaitTimeSeconds)],
    ["Maximum message size", `${count(Number(attributes.MaximumMessageSize))} bytes`],
    ["Encryption", attributes.KmsMasterKeyId ? `AWS KMS key ${attributes.KmsMasterKeyId}` : attributes.SqsManagedSseEnabled === "true" ? "Amazon SQS key (SSE-SQS)" : "Disabled"],
    ["Created", `${time(attributes.CreatedTimestamp * 1000)} UTC`],
    ["Last changed", `${time(attributes.LastModifiedTimestamp * 1000)} UTC`],
  ];
  return html`
    <div class="charts">
      <${Chart} title="Messages available" values=${of("visible")} />
      <${Chart} title="Messages in flight" values=${of("inFlight")} />
      <${Chart} title="Messages delayed" values=${of("delayed")} />
      ${data.peek && html`
        <${Chart} title="Age of the oldest message" values=${of("oldest").map((age) => age ?? 0)} format=${duration} />
        <${Chart} title="Sent" unit="/s" format=${rate} values=${rates(samples, "sent")} />
        <${Chart} title="Received" unit="/s" format=${rate} values=${rates(samples, "received")} />
        <${Chart} title="Deleted" unit="/s" format=${rate} values=${rates(samples, "deleted")} />`}
    </div>
    ${facts && html`<dl class="facts">${facts.map(([term, value]) => html`<div><dt>${term}</dt><dd>${value}</dd></div>`)}</dl>`}`;
}

function Edit({ url, reload }) {
  // Asked for here and now: settings of a while ago would be set again along with what is changed.
  const [before, setBefore] = useState(null);
  const [form, setForm] = useState(null);
  const [error, setError] = useState(null);
  const [saved, setSaved] = useState(false);
  const load = async () => {
    const found = (await call("GetQueueAttributes", { QueueUrl: url, AttributeNames: ["All"] })).Attributes;
    setBefore(found);
    setForm((form) => form ?? fromAttributes(found));
  };
  useEffect(() => {
    load().catch(setError);
  }, [url]);
  const submit = async (event) => {
    event.preventDefault();
    setSaved(false);
    try {
      const changed = toAttributes(form, before);
      if (Object.keys(changed).length) await call("SetQueueAttributes", { QueueUrl: url, Attributes: changed });
      await load();
      setError(null);
      setSaved(true);
      reload();
    } catch (problem) {
      setError(problem);
    }
  };
  if (!form) return html`<${Complaint} error=${error} />`;
  return html`<form onSubmit=${submit}>
    <${SettingsFields} form=${form} change=${(part) => { setSaved(false); setForm((form) => ({ ...form, ...part })); }} />
    <${Complaint} error=${error} />
    <div class="buttons end">${saved && html`<span role="status">Saved.</span>`}<button class="primary" type="submit">Save</button></div>
  </form>`;
}

function Redrive({ url, attributes, row, refresh }) {
  const arn = attributes.QueueArn;
  const [sources, setSources] = useState(null);
  const [tasks, setTasks] = useState([]);
  const [destination, setDestination] = useState("");
  const [velocity, setVelocity] = useState("");
  const [error, setError] = useState(null);
  const latest = useLatest();
  const load = async () => {
    const isLatest = latest();
    try {
      const found = (await call("ListDeadLetterSourceQueues", { QueueUrl: url })).queueUrls ?? [];
      const moved = (await call("ListMessageMoveTasks", { SourceArn: arn, MaxResults: 10 })).Results ?? [];
      if (!isLatest()) return;
      setSources(found);
      setTasks(moved);
    } catch (problem) {
      if (isLatest()) setError(problem);
    }
  };
  useInterval(load, 2, [url]);
  const act = async (action, input) => {
    try {
      await call(action, input);
      setError(null);
      await load();
      refresh();
    } catch (problem) {
      setError(problem);
    }
  };
  const policy = attributes.RedrivePolicy && JSON.parse(attributes.RedrivePolicy);
  const running = tasks.find((task) => task.Status === "RUNNING");
  return html`
    <div class="card">
      <h2>Where messages of this queue go</h2>
      ${policy
        ? html`<p>After <strong>${policy.maxReceiveCount}</strong> receives, to <a href=${toQueue(policy.deadLetterTargetArn.split(":").pop())}>${policy.deadLetterTargetArn.split(":").pop()}</a>.</p>`
        : html`<p class="quiet">This queue has no dead-letter queue. It can be given one under Edit.</p>`}
    </div>
    <div class="card">
      <h2>Queues whose dead-letter queue this is</h2>
      ${sources === null ? html`<p class="quiet">Loading …</p>` : sources.length
        ? html`<ul>${sources.map((source) => html`<li><a href=${toQueue(nameOf(source))}>${nameOf(source)}</a></li>`)}</ul>`
        : html`<p class="quiet">None.</p>`}
      ${sources?.length > 0 && html`
        <h3>Move messages back</h3>
        <p class="quiet">${count(row.visible)} messages are here.</p>
        <div class="grid">
          <${TextField} label="Destination" value=${destination} onInput=${setDestination} placeholder="arn:aws:sqs:…"
            hint="The ARN of a queue; empty for where each message came from." />
          <${TextField} label="Messages per second" type="number" min="1" max="500" value=${velocity} onInput=${setVelocity}
            hint="From 1 to 500; empty for as fast as it goes." />
        </div>
        <div class="buttons">
          <button class="primary" disabled=${Boolean(running)} onClick=${() => act("StartMessageMoveTask", {
            SourceArn: arn, ...(destination && { DestinationArn: destination }),
            ...(velocity && { MaxNumberOfMessagesPerSecond: Number(velocity) }) })}>Redrive</button>
          ${running && html`<button onClick=${() => act("CancelMessageMoveTask", { TaskHandle: running.TaskHandle })}>Cancel redrive</button>`}
        </div>`}
      <${Complaint} error=${error} />
      ${tasks.length > 0 && html`<div class="scroll"><table>
        <thead><tr><th scope="col">Started</th><th scope="col">Status</th><th scope="col">Progress</th><th scope="col">To</th></tr></thead>
        <tbody>${tasks.map((task) => html`<tr>
          <td>${time(task.StartedTimestamp)}</td><td>${task.Status}</td>
          <td><progress aria-label="Redrive progress" max=${Math.max(1, task.ApproximateNumberOfMessagesToMove ?? 1)} value=${task.ApproximateNumberOfMessagesMoved ?? 0}></progress>
            ${count(task.ApproximateNumberOfMessagesMoved)} of ${count(task.ApproximateNumberOfMessagesToMove)} ${task.FailureReason ?? ""}</td>
          <td>${task.DestinationArn?.split(":").pop() ?? "where they came from"}</td>
        </tr>`)}</tbody></table></div>`}
    </div>`;
}

function Tags({ url }) {
  const [before, setBefore] = useState(null);
  const [rows, setRows] = useState([]);
  const [error, setError] = useState(null);
  const [saved, setSaved] = useState(false);
  const load = async () => {
    const tags = (await call("ListQueueTags", { QueueUrl: url })).Tags ?? {};
    setBefore(tags);
    setRows(Object.entries(tags).map(([key, value]) => ({ key, value })));
  };
  useEffect(() => {
    load().catch(setError);
  }, [url]);
  const save = async () => {
    try {
      const after = asTags(rows);
      const gone = Object.keys(before).filter((key) => !(key in after));
      if (gone.length) await call("UntagQueue", { QueueUrl: url, TagKeys: gone });
      if (Object.keys(after).length) await call("TagQueue", { QueueUrl: url, Tags: after });
      await load();
      setError(null);
      setSaved(true);
    } catch (problem) {
      setError(problem);
    }
  };
  // What is typed before they are here would be lost.
  if (!before) return html`<${Complaint} error=${error} />`;
  return html`<${TagFields} tags=${rows} onInput=${(rows) => { setSaved(false); setRows(rows); }} />
    <${Complaint} error=${error} />
    <div class="buttons end">${saved && html`<span role="status">Saved.</span>`}<button class="primary" onClick=${save}>Save</button></div>`;
}

function Permissions({ url, attributes, reload }) {
  const [form, setForm] = useState({ label: "", accounts: "", actions: "SendMessage" });
  const [error, setError] = useState(null);
  const statements = attributes.Policy ? [JSON.parse(attributes.Policy).Statement].flat() : [];
  const act = async (action, input) => {
    try {
      await call(action, { QueueUrl: url, ...input });
      setError(null);
      await reload();
    } catch (problem) {
      setError(problem);
    }
  };
  const list = (text) => text.split(/[\s,]+/).filter(Boolean);
  const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  return html`
    ${statements.length > 0
      ? html`<div class="scroll"><table>
          <thead><tr><th scope="col">Label</th><th scope="col">Effect</th><th scope="col">Who</th><th scope="col">Actions</th><th scope="col"></th></tr></thead>
          <tbody>${statements.map((each) => html`<tr>
            <td>${each.Sid ?? "–"}</td><td>${each.Effect}</td><td><code>${shown(each.Principal ?? "–")}</code></td><td>${[each.Action].flat().join(", ")}</td>
            <td class="number">${each.Sid && html`<button aria-label=${`Remove permission ${each.Sid}`} onClick=${() => act("RemovePermission", { Label: each.Sid })}>Remove</button>`}</td>
          </tr>`)}</tbody></table></div>`
      : html`<p class="quiet">Nobody but the owner has permissions.</p>`}
    <fieldset><legend>Add permission</legend><div class="grid">
      <${TextField} label="Label" value=${form.label} onInput=${(label) => setForm({ ...form, label })} hint="A name for the permission." />
      <${TextField} label="Account IDs" value=${form.accounts} onInput=${(accounts) => setForm({ ...form, accounts })} hint="Of 12 digits, with blanks or commas between them." />
      <${TextField} label="Actions" value=${form.actions} onInput=${(actions) => setForm({ ...form, actions })} hint="Such as SendMessage, ReceiveMessage, or * for all." />
    </div>
    <button onClick=${() => act("AddPermission", { Label: form.label, AWSAccountIds: list(form.accounts), Actions: list(form.actions) })}>Add permission</button></fieldset>
    <${Complaint} error=${error} />`;
}
