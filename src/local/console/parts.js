// The pieces that all of the pages are made of.

import { h } from "./preact.js";
import { useEffect, useLayoutEffect, useRef, useState } from "./hooks.js";
import htm from "./htm.js";

export const html = htm.bind(h);

export const count = (number) => (number ?? 0).toLocaleString("en-US");

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

export function bytes(number) {
  if (number < 1024) return `${number} bytes`;
  if (number < 1048576) return `${(number / 1024).toFixed(1)} KiB`;
  return `${(number / 1048576).toFixed(2)} MiB`;
}

export const time = (millis) => (millis ? new Date(Number(millis)).toISOString().replace("T", " ").replace("Z", "") : "–");

let last = 0;
export function useId(name) {
  const id = useRef(null);
  id.current ??= `${name}-${(last += 1)}`;
  return id.current;
}

// `latest()` begins a question and returns whether it is the latest still: an answer that comes after that to a later one is old.
export function useLatest() {
  const asked = useRef(0);
  return () => {
    const turn = (asked.current += 1);
    return () => turn === asked.current;
  };
}

// Runs `act` now and each `seconds` while the page is looked at.
export function useInterval(act, seconds, inputs) {
  const latest = useRef(act);
  latest.current = act;
  useEffect(() => {
    let stopped = false;
    let acting = false;
    let timer;
    const tick = async () => {
      acting = true;
      if (!document.hidden) await latest.current();
      acting = false;
      if (!stopped) timer = setTimeout(tick, seconds * 1000);
    };
    tick();
    const woken = () => {
      if (document.hidden || acting) return;
      clearTimeout(timer);
      tick();
    };
    document.addEventListener("visibilitychange", woken);
    return () => {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", woken);
    };
  }, [seconds, ...inputs]);
}

// A label with what it labels, and a hint below.
export function Field({ label, hint, children, wide }) {
  const id = useId("field");
  const control = children(id, hint ? `${id}-hint` : undefined);
  return html`<div class=${`field ${wide ? "wide" : ""}`}>
    <label for=${id}>${label}</label>
    ${control}
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
  </div>`;
}

export function TextField({ label, hint, value, onInput, wide, ...rest }) {
  return html`<${Field} label=${label} hint=${hint} wide=${wide}>
    ${(id, describedby) => html`<input id=${id} value=${value} aria-describedby=${describedby} spellcheck=${false}
      autocomplete="off" onInput=${(event) => onInput(event.target.value)} ...${rest} />`}
  </${Field}>`;
}

export function AreaField({ label, hint, value, onInput, rows = 4, ...rest }) {
  return html`<${Field} label=${label} hint=${hint} wide>
    ${(id, describedby) => html`<textarea id=${id} rows=${rows} value=${value} aria-describedby=${describedby}
      spellcheck=${false} onInput=${(event) => onInput(event.target.value)} ...${rest}></textarea>`}
  </${Field}>`;
}

export function SelectField({ label, hint, value, options, onInput, ...rest }) {
  return html`<${Field} label=${label} hint=${hint}>
    ${(id, describedby) => html`<select id=${id} value=${value} aria-describedby=${describedby}
      onChange=${(event) => onInput(event.target.value)} ...${rest}>
      ${options.map(([key, text]) => html`<option value=${key} selected=${key === value}>${text}</option>`)}
    </select>`}
  </${Field}>`;
}

export function CheckField({ label, hint, checked, onInput, ...rest }) {
  const id = useId("check");
  return html`<div class="field check">
    <input type="checkbox" id=${id} checked=${checked} onChange=${(event) => onInput(event.target.checked)} ...${rest} />
    <label for=${id}>${label}</label>
    ${hint && html`<p class="hint">${hint}</p>`}
  </div>`;
}

const UNITS = [["1", "seconds"], ["60", "minutes"], ["3600", "hours"], ["86400", "days"]];

// A time in seconds, with the unit in which it is shown.
export function TimeField({ label, hint, seconds, onInput, most }) {
  const id = useId("time");
  const [unit, setUnit] = useState("1");
  const [typed, setTyped] = useState("");
  const inSeconds = (text) => (text === "" ? "" : String(Math.round(text * unit)));
  // What is typed stays as it is while it means these seconds: 1.25 days are not to become 1.2499.
  const shown = inSeconds(typed) === seconds ? typed : seconds === "" ? "" : String(Number(seconds) / Number(unit));
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <div class="joined">
      <input id=${id} type="number" min="0" max=${most && most / Number(unit)} step="any" value=${shown}
        aria-describedby=${`${id}-hint`}
        onInput=${(event) => {
          setTyped(event.target.value);
          onInput(inSeconds(event.target.value));
        }} />
      <select aria-label=${`${label} unit`} value=${unit} onChange=${(event) => {
        const next = event.target.value;
        // The number stays and its meaning changes, as the reader sees it.
        if (shown !== "") onInput(String(Math.round(shown * next)));
        setTyped(shown);
        setUnit(next);
      }}>
        ${UNITS.map(([key, text]) => html`<option value=${key} selected=${key === unit}>${text}</option>`)}
      </select>
    </div>
    <p class="hint" id=${`${id}-hint`}>${hint}</p>
  </div>`;
}

export function Complaint({ error }) {
  if (!error) return null;
  return html`<p class="complaint" role="alert"><strong>${error.code || "Error"}</strong> ${error.message}</p>`;
}

// Asks before something that cannot be taken back.
export function Confirm({ title, text, action, onConfirm, onCancel }) {
  const dialog = useRef(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  // Before the next key is pressed, which is meant for it.
  useLayoutEffect(() => {
    dialog.current.showModal();
  }, []);
  const confirm = async () => {
    setBusy(true);
    try {
      await onConfirm();
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };
  return html`<dialog ref=${dialog} aria-label=${title} onClose=${onCancel}>
    <h2>${title}</h2>
    <p>${text}</p>
    <${Complaint} error=${error} />
    <div class="buttons end">
      <button onClick=${onCancel}>Cancel</button>
      <button class="danger" disabled=${busy} onClick=${confirm}>${action}</button>
    </div>
  </dialog>`;
}

// A line of what happened lately, its newest value and its highest.
export function Chart({ title, unit = "", values, format = count }) {
  const [width, height] = [280, 72];
  const known = values.filter((value) => value !== null);
  const most = Math.max(1, ...known);
  const step = width / 119;
  const start = 120 - values.length;
  const points = values.map((value, at) => [(start + at) * step, height - 3 - ((value ?? 0) / most) * (height - 10)]);
  const line = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
  const now = known.length ? `${format(known[known.length - 1])}${unit}` : "–";
  return html`<figure class="chart" role="img" aria-label=${`${title}: ${now}`}>
    <figcaption><span>${title}</span><strong>${now}</strong></figcaption>
    <svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" aria-hidden="true">
      <line class="base" x1="0" x2=${width} y1=${height - 2} y2=${height - 2} />
      ${points.length > 1 && html`<polygon class="area"
        points=${`${points[0][0].toFixed(1)},${height - 2} ${line} ${points[points.length - 1][0].toFixed(1)},${height - 2}`} />`}
      ${points.length > 1 && html`<polyline class="line" points=${line} />`}
    </svg>
    <p class="hint">highest ${known.length ? `${format(Math.max(...known))}${unit}` : "–"}</p>
  </figure>`;
}
