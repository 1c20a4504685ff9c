// What the traffic would cost at AWS, and what batching saves.

import { count, html } from "./parts.js";

// Of Amazon SQS in most regions, in US dollars for a million requests; the first million of a month is free.
export const PRICES = { free: 1_000_000, standard: 0.4, fifo: 0.5 };

const MILLION = 1_000_000;
const dollars = (amount) => `$${amount.toFixed(amount !== 0 && amount < 0.01 ? 6 : 2)}`;

// Rows by kind and action: what was asked, what it carried, what it comes to.
export function bill(traffic) {
  const rows = traffic.map((row) => ({
    ...row,
    alone: Math.max(row.requests, row.messages),
    price: (row.requests / MILLION) * PRICES[row.kind],
  }));
  const sum = (key) => rows.reduce((total, row) => total + row[key], 0);
  const [requests, alone, price] = [sum("requests"), sum("alone"), sum("price")];
  // The free requests are the first; which kind they were makes a difference of a few cents, so both get their share.
  const due = requests > PRICES.free ? price * (1 - PRICES.free / requests) : 0;
  const without = rows.reduce((total, row) => total + (row.alone / MILLION) * PRICES[row.kind], 0);
  return { rows, requests, alone, price, due, saved: without - price };
}

export function Cost({ data }) {
  const { rows, requests, alone, price, due, saved } = bill(data.traffic);
  const tiles = [
    ["Requests", count(requests), data.peek ? "since the server started" : "made by this console"],
    ["At list price", dollars(price), "before the free tier"],
    ["After the free tier", dollars(due), `the first ${count(PRICES.free)} requests of a month are free`],
    ["Saved by batching", dollars(saved), `${count(alone - requests)} requests were not needed`],
  ];
  return html`<section aria-labelledby="title">
    <h1 id="title">Cost</h1>
    <p class="quiet">What these requests come to at AWS: $${PRICES.standard.toFixed(2)} a million for standard queues and
      $${PRICES.fifo.toFixed(2)} for FIFO queues. Each 64 KiB of a payload is billed as a request.</p>
    <div class="tiles">${tiles.map(([term, value, note]) => html`<div class="tile"><span>${term}</span><strong>${value}</strong><small>${note}</small></div>`)}</div>
    ${rows.length === 0 ? html`<p class="empty">No requests yet.</p>` : html`<div class="scroll"><table>
      <thead><tr><th scope="col">Action</th><th scope="col">Queues</th><th scope="col" class="number">Requests</th><th scope="col" class="number">Messages</th>
        <th scope="col" class="number">Without batches</th><th scope="col" class="number">At list price</th></tr></thead>
      <tbody>${rows.map((row) => html`<tr><td>${row.action}</td><td>${row.kind === "fifo" ? "FIFO" : "Standard"}</td><td class="number">${count(row.requests)}</td>
        <td class="number">${row.messages ? count(row.messages) : "–"}</td><td class="number">${count(row.alone)}</td><td class="number">${dollars(row.price)}</td></tr>`)}</tbody>
    </table></div>`}
  </section>`;
}
