// Sending, polling for, looking at and deleting messages.

import { useEffect, useRef, useState } from "./hooks.js";
import { call } from "./api.js";
import { AreaField, bytes, Complaint, count, html, TextField, time, useLatest } from "./parts.js";

export function Messages({ url, row, data, refresh }) {
  return html`<div class="columns">
    <${Send} url=${url} fifo=${row.fifo} refresh=${refresh} />
    <${Receive} url=${url} row=${row} data=${data} refresh=${refresh} />
  </div>`;
}

const TYPES = ["String", "Number", "Binary"];

function Send({ url, fifo, refresh }) {
  const empty = { body: "", group: "", deduplication: "", delay: "0", attributes: [] };
  const [form, setForm] = useState(empty);
  const [sent, setSent] = useState(null);
  const [error, setError] = useState(null);
  const set = (part) => setForm((form) => ({ ...form, ...part }));
  const attribute = (at, part) => set({ attributes: form.attributes.map((each, i) => (i === at ? { ...each, ...part } : each)) });
  const submit = async (event) => {
    event.preventDefault();
    const input = { QueueUrl: url, MessageBody: form.body };
    if (Number(form.delay) && !fifo) input.DelaySeconds = Number(form.delay);
    if (form.group) input.MessageGroupId = form.group;
    if (form.deduplication) input.MessageDeduplicationId = form.deduplication;
    if (form.attributes.length) {
      input.MessageAttributes = Object.fromEntries(form.attributes.map(({ name, type, value }) => [
        name, { DataType: type, [type.startsWith("Binary") ? "BinaryValue" : "StringValue"]: value }]));
    }
    try {
      setSent(await call("SendMessage", input));
      setError(null);
      set({ body: "", deduplication: "" });
      refresh();
    } catch (problem) {
      setSent(null);
      setError(problem);
    }
  };
  return html`<form class="card" onSubmit=${submit} aria-labelledby="send">
    <h2 id="send">Send message</h2>
    <${AreaField} label="Message body" value=${form.body} onInput=${(body) => set({ body })} rows=${6} class="code"
      hint=${`${bytes(new TextEncoder().encode(form.body).length)} of up to 1 MiB`} />
    <div class="grid">
      <${TextField} label="Message group ID" value=${form.group} onInput=${(group) => set({ group })} required=${fifo}
        hint=${fifo ? "Messages of a group are received in order." : "A tenant, for fair queues; may be empty."} />
      ${fifo
        ? html`<${TextField} label="Message deduplication ID" value=${form.deduplication} onInput=${(deduplication) => set({ deduplication })}
            hint="Another message with it is taken for the same within five minutes." />`
        : html`<${TextField} label="Delivery delay" type="number" min="0" max="900" value=${form.delay} onInput=${(delay) => set({ delay })} hint="In seconds: up to 900." />`}
    </div>
    <div class="attributes">
      ${form.attributes.map((each, at) => html`<div class="row" key=${at}>
        <input aria-label="Attribute name" placeholder="Name" value=${each.name} onInput=${(event) => attribute(at, { name: event.target.value })} />
        <select aria-label="Attribute type" value=${each.type} onChange=${(event) => attribute(at, { type: event.target.value })}>
          ${TYPES.map((type) => html`<option value=${type} selected=${type === each.type}>${type}</option>`)}</select>
        <input aria-label="Attribute value" placeholder=${each.type === "Binary" ? "Value, in base64" : "Value"} value=${each.value}
          onInput=${(event) => attribute(at, { value: event.target.value })} />
        <button type="button" aria-label=${`Remove attribute ${each.name}`} onClick=${() => set({ attributes: form.attributes.filter((_, i) => i !== at) })}>Remove</button>
      </div>`)}
      ${form.attributes.length < 10 && html`<button type="button" onClick=${() => set({ attributes: [...form.attributes, { name: "", type: "String", value: "" }] })}>Add attribute</button>`}
    </div>
    <${Complaint} error=${error} />
    <div class="buttons end">
      ${sent && html`<span role="status">Sent: <code>${sent.MessageId}</code></span>`}
      <button class="primary" type="submit">Send message</button>
    </div>
  </form>`;
}

const PAGE = 100;

function Receive({ url, row, data, refresh }) {
  const [messages, setMessages] = useState([]);
  const [chosen, setChosen] = useState(new Set());
  const [open, setOpen] = useState(null);
  const [most, setMost] = useState("10");
  const [seconds, setSeconds] = useState("30");
  const [progress, setProgress] = useState(null);
  const [looked, setLooked] = useState(null);
  const [error, setError] = useState(null);
  const abort = useRef(null);
  // What was deleted while a poll goes on, which knows of it still.
  const removed = useRef(new Set());
  const latest = useLatest();
  useEffect(() => () => abort.current?.abort(), []);

  const show = (found) => {
    setMessages(found);
    setChosen(new Set());
    setOpen(null);
  };
  const poll = async () => {
    const controller = (abort.current = new AbortController());
    const [began, length, wanted] = [Date.now(), Number(seconds) * 1000, Number(most)];
    const found = [];
    // A look that is still to be answered is over.
    latest();
    removed.current.clear();
    show([]);
    setLooked(null);
    setError(null);
    const passed = () => Math.min(1, Math.max(found.length / wanted, (Date.now() - began) / length));
    setProgress(0);
    const ticker = setInterval(() => setProgress(passed()), 200);
    try {
      while (found.length < wanted && Date.now() - began < length && !controller.signal.aborted) {
        const left = Math.ceil((length - (Date.now() - began)) / 1000);
        const reply = await call("ReceiveMessage", {
          QueueUrl: url, MaxNumberOfMessages: Math.min(10, wanted - found.length), WaitTimeSeconds: Math.max(0, Math.min(20, left)),
          AttributeNames: ["All"], MessageAttributeNames: ["All"],
        }, { signal: controller.signal });
        // One that came again has a newer receipt.
        for (const message of reply.Messages ?? []) {
          const before = found.findIndex((each) => each.MessageId === message.MessageId);
          if (before >= 0) found[before] = message;
          else found.push(message);
        }
        setMessages(found.filter((message) => !removed.current.has(message.MessageId)));
      }
    } catch (problem) {
      if (problem.name !== "AbortError") setError(problem);
    } finally {
      clearInterval(ticker);
      setProgress(null);
      refresh();
    }
  };
  const look = async (offset) => {
    const isLatest = latest();
    try {
      const reply = await call("ReceiveMessage", { QueueUrl: url, ShowInvisible: true, ShowDelayed: true, Offset: offset, Limit: PAGE }, { path: data.peek });
      if (!isLatest()) return;
      show(reply.Messages ?? []);
      setLooked(offset);
      setError(null);
    } catch (problem) {
      if (isLatest()) setError(problem);
    }
  };
  const remove = async () => {
    const gone = messages.filter((message) => chosen.has(message.MessageId));
    try {
      for (let at = 0; at < gone.length; at += 10) {
        const entries = gone.slice(at, at + 10).map((message, i) => ({ Id: String(i), ReceiptHandle: message.ReceiptHandle }));
        const reply = await call("DeleteMessageBatch", { QueueUrl: url, Entries: entries });
        const ids = new Set((reply.Successful ?? []).map((entry) => gone[at + Number(entry.Id)].MessageId));
        ids.forEach((id) => removed.current.add(id));
        setMessages((messages) => messages.filter((message) => !ids.has(message.MessageId)));
        setChosen((chosen) => new Set([...chosen].filter((id) => !ids.has(id))));
        const failed = reply.Failed?.[0];
        if (failed) throw Object.assign(new Error(failed.Message), { code: failed.Code });
      }
      setError(null);
    } catch (problem) {
      setError(problem);
    }
    refresh();
  };
  const toggle = (id, to) => setChosen((chosen) => {
    const next = new Set(chosen);
    if (to) next.add(id);
    else next.delete(id);
    return next;
  });
  const select = (id) => {
    setOpen(open === id ? null : id);
    if (looked === null && open !== id) toggle(id, true);
  };
  const held = row.visible + row.inFlight + row.delayed;
  return html`<div class="card" role="region" aria-labelledby="receive">
    <div class="head"><h2 id="receive">Receive messages</h2>
      <span class="quiet">${count(row.visible)} available · ${count(row.inFlight)} in flight · ${count(row.delayed)} delayed</span></div>
    <div class="grid">
      <${TextField} label="Maximum message count" type="number" min="1" max="1000" value=${most} onInput=${setMost} disabled=${progress !== null} />
      <${TextField} label="Polling duration" type="number" min="1" max="900" value=${seconds} onInput=${setSeconds} disabled=${progress !== null} hint="In seconds." />
    </div>
    <div class="buttons">
      ${progress === null
        ? html`<button class="primary" onClick=${poll}>Poll for messages</button>`
        : html`<button onClick=${() => abort.current?.abort()}>Stop</button>`}
      ${data.peek && html`<button disabled=${progress !== null} onClick=${() => look(0)}>Look without receiving</button>`}
      <button class="danger-text" disabled=${!chosen.size} onClick=${remove}>Delete</button>
      ${progress !== null && html`<progress aria-label="Polling progress" max="1" value=${progress}></progress>`}
    </div>
    <${Complaint} error=${error} />
    ${looked !== null && html`<div class="bar">
      <span class="quiet" role="status">Nothing was received: receive counts and visibility are as before.</span>
      ${held > PAGE && html`<div class="pager"><span>${count(looked + 1)} – ${count(looked + messages.length)} of ${count(held)}</span>
        <button aria-label="Previous messages" disabled=${looked === 0} onClick=${() => look(Math.max(0, looked - PAGE))}>‹</button>
        <button aria-label="Next messages" disabled=${looked + PAGE >= held} onClick=${() => look(looked + PAGE)}>›</button></div>`}
    </div>`}
    ${messages.length === 0
      ? html`<p class="empty small">${progress === null ? "No messages yet." : "Waiting for messages …"}</p>`
      : html`<ul class="messages">${messages.map((message) => html`<${Message} key=${message.MessageId} message=${message}
          open=${open === message.MessageId} chosen=${chosen.has(message.MessageId)} looked=${looked !== null}
          onSelect=${() => select(message.MessageId)} onToggle=${(to) => toggle(message.MessageId, to)} />`)}</ul>`}
  </div>`;
}

function state(attributes) {
  if (attributes.IsDelayed === "true") return "delayed";
  return attributes.IsVisible === "false" ? "in flight" : null;
}

function Message({ message, open, chosen, looked, onSelect, onToggle }) {
  const attributes = message.Attributes ?? {};
  const received = Number(attributes.ApproximateReceiveCount ?? 0);
  const note = state(attributes);
  return html`<li class=${chosen ? "chosen" : ""}>
    <div class="summary">
      ${!looked && html`<input type="checkbox" aria-label=${`Select message ${message.MessageId}`} checked=${chosen} onChange=${(event) => onToggle(event.target.checked)} />`}
      <button class="line" aria-expanded=${open} onClick=${onSelect}>
        <span class="preview">${message.Body.slice(0, 200)}</span>
        ${note && html`<span class="tag">${note}</span>`}
        <span class="quiet">${received ? `received ${count(received)}×` : "not received"}</span>
        <span class="quiet">${time(attributes.SentTimestamp)}</span>
      </button>
    </div>
    ${open && html`<${Details} message=${message} />`}
  </li>`;
}

const NAMES = {
  MessageGroupId: "Message group ID",
  MessageDeduplicationId: "Message deduplication ID",
  SequenceNumber: "Sequence number",
  SenderId: "Sender",
  AWSTraceHeader: "Trace header",
  DeadLetterQueueSourceArn: "Dead letter of",
};

function Details({ message }) {
  const [raw, setRaw] = useState(false);
  const attributes = message.Attributes ?? {};
  const pretty = prettify(message.Body);
  const shown = raw || !pretty ? message.Body : pretty.text;
  const facts = [
    ["Message ID", message.MessageId],
    ["Size", bytes(new TextEncoder().encode(message.Body).length)],
    ["Sent", `${time(attributes.SentTimestamp)} UTC`],
    ["First received", attributes.ApproximateFirstReceiveTimestamp ? `${time(attributes.ApproximateFirstReceiveTimestamp)} UTC` : "–"],
    ["Receive count", attributes.ApproximateReceiveCount],
    ["MD5 of body", message.MD5OfBody],
    ...Object.entries(NAMES).filter(([name]) => attributes[name]).map(([name, text]) => [text, attributes[name]]),
  ];
  const own = Object.entries(message.MessageAttributes ?? {});
  return html`<div class="details">
    <div class="head"><h3>Body</h3>${pretty && html`<button onClick=${() => setRaw(!raw)}>${raw ? `Pretty ${pretty.kind}` : "Raw"}</button>`}</div>
    <pre aria-label="Body" tabindex="0">${visible(shown)}</pre>
    ${own.length > 0 && html`<h3>Attributes</h3>
      <div class="scroll"><table><thead><tr><th scope="col">Name</th><th scope="col">Type</th><th scope="col">Value</th></tr></thead>
      <tbody>${own.map(([name, value]) => html`<tr><td>${name}</td><td>${value.DataType}</td>
        <td>${value.BinaryValue === undefined ? html`<code>${visible(value.StringValue)}</code>` : html`<pre>${hex(value.BinaryValue)}</pre>`}</td></tr>`)}</tbody></table></div>`}
    <dl class="facts">${facts.map(([term, value]) => html`<div><dt>${term}</dt><dd>${value}</dd></div>`)}</dl>
  </div>`;
}

// A body in an easier form, if it is of a kind that has one. Never interpreted: all of it stays text.
export function prettify(text) {
  if (/^\s*[[{]/.test(text)) {
    try {
      // Numbers beyond a double would come out as others.
      return /\d{16}/.test(text) ? null : { kind: "JSON", text: JSON.stringify(JSON.parse(text), null, 2) };
    } catch {
      return null;
    }
  }
  if (!/^\s*</.test(text)) return null;
  const parsed = new DOMParser().parseFromString(text, "application/xml");
  if (parsed.querySelector("parsererror")) return null;
  let depth = 0;
  const lines = text.replace(/>\s*</g, ">\n<").split("\n").map((line) => {
    const closes = /^\s*<\//.test(line);
    if (closes) depth = Math.max(0, depth - 1);
    const shown = "  ".repeat(depth) + line.trim();
    const opens = /^\s*<[^!?/]/.test(line) && !/\/>\s*$/.test(line) && !/<\/[^>]*>\s*$/.test(line);
    if (opens) depth += 1;
    return shown;
  });
  return { kind: "XML", text: lines.join("\n") };
}

// Characters that would not be seen, or would change how the rest is read, as their codes.
const HIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
export const visible = (text) => text.replace(HIDDEN, (hidden) => `\\u{${hidden.codePointAt(0).toString(16)}}`);

// The first bytes of a binary value, as hex dumps are written.
export function hex(base64) {
  const data = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const lines = [];
  for (let at = 0; at < Math.min(data.length, 512); at += 16) {
    const part = [...data.subarray(at, at + 16)];
    const codes = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ").padEnd(47);
    const text = part.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${codes}  ${text}`);
  }
  if (data.length > 512) lines.push(`… ${count(data.length)} bytes in all`);
  return lines.join("\n");
}
