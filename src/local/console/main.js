// The frame: where one is, whether the server is there, and the page for it.

import { render } from "./preact.js";
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "./hooks.js";
import { chooseRealm, overview, Unreachable } from "./api.js";
import { html, useInterval } from "./parts.js";
import { CreateQueue, QueueList } from "./queues.js";
import { Queue } from "./queue.js";
import { Cost } from "./cost.js";

function here() {
  const [page = "", name = "", tab = ""] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  return { page, name, tab };
}

function App() {
  const [place, setPlace] = useState(here());
  const [data, setData] = useState(null);
  const [lost, setLost] = useState(null);
  const [realm, setRealm] = useState(null);
  const [search, setSearch] = useState("");
  const [offset, setOffset] = useState(0);
  // The last two minutes of each queue that was seen: what its charts show.
  const history = useRef(new Map());
  const limit = data?.pageSize ?? 50;

  // With the first picture, not a moment after it: the address may change in between.
  useLayoutEffect(() => {
    const moved = () => {
      setPlace(here());
      window.scrollTo(0, 0);
    };
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);

  // How often the server was asked: what it says to an earlier question is not shown after a later one.
  const asked = useRef(0);
  const refresh = useCallback(async () => {
    const turn = (asked.current += 1);
    try {
      const only = place.page === "queue" ? place.name : "";
      const next = await overview(only ? "" : search, only ? 0 : offset, limit, only);
      if (turn !== asked.current) return;
      for (const queue of next.queues) {
        const samples = history.current.get(queue.name) ?? [];
        samples.push({ at: next.now, ...queue });
        history.current.set(queue.name, samples.slice(-120));
      }
      setData({ ...next, of: only });
      setLost(null);
    } catch (error) {
      if (turn === asked.current) setLost(error);
    }
  }, [search, offset, limit, place.page, place.name, realm]);
  useInterval(refresh, data?.refresh ?? 1, [search, offset, place.page, place.name, realm]);

  const choose = (value) => {
    const [account, region] = value.split("/");
    chooseRealm(account, region);
    history.current.clear();
    // What is shown belongs to the realm before.
    setData((data) => data && { ...data, queues: [], total: null, of: null });
    setOffset(0);
    setRealm(value);
  };
  const title = place.page === "queue" ? place.name : { create: "Create queue", cost: "Cost" }[place.page] ?? "Queues";
  useEffect(() => {
    document.title = `${title} · turbosqs console`;
  }, [title]);

  const own = data && `${data.account}/${data.region}`;
  const realms = data ? [...new Set([...(data.realms ?? []), realm ?? own])].sort() : [];
  const page = () => {
    if (!data) return html`<p class="quiet">Loading …</p>`;
    switch (place.page) {
      case "create":
        return html`<${CreateQueue} data=${data} refresh=${refresh} />`;
      case "queue":
        return html`<${Queue} key=${`${realm} ${place.name}`} name=${place.name} tab=${place.tab} data=${data}
          samples=${history.current.get(place.name) ?? []} refresh=${refresh} />`;
      case "cost":
        return html`<${Cost} data=${data} />`;
      default:
        // Where one comes from a queue, that one is all there is as yet.
        if (data.of !== "") return html`<p class="quiet">Loading …</p>`;
        return html`<${QueueList} data=${data} search=${search} offset=${offset} limit=${limit} refresh=${refresh}
          onSearch=${(text) => { setSearch(text); setOffset(0); }} onOffset=${setOffset} />`;
    }
  };
  return html`
    <header class="top">
      <a class="brand" href="#/"><img src="_turbosqs/console/icon.svg" alt="" width="26" height="26" /> turbosqs <span>console</span></a>
      <nav aria-label="Pages">
        <a href="#/" aria-current=${["", "create", "queue"].includes(place.page) ? "page" : undefined}>Queues</a>
        <a href="#/cost" aria-current=${place.page === "cost" ? "page" : undefined}>Cost</a>
      </nav>
      <div class="where">
        ${data && html`<code>${data.endpoint}</code>`}
        ${data && (data.peek
          ? html`<select aria-label="Account and region" value=${realm ?? own} onChange=${(event) => choose(event.target.value)}>
              ${realms.map((each) => html`<option value=${each} selected=${each === (realm ?? own)}>${each.split("/").reverse().join(" · ")}</option>`)}
            </select>`
          : html`<span>${data.region}</span>`)}
        <span class=${`dot ${lost ? "off" : "on"}`} title=${lost ? "not connected" : "connected"}></span>
      </div>
    </header>
    ${lost && html`<div class="banner" role="alert">
      ${lost instanceof Unreachable ? "The connection to the server is lost." : `${lost.code ?? "Error"}: ${lost.message}`}
      ${data ? " What is shown may be old; it goes on by itself when the server is back." : ""}
    </div>`}
    <main>${page()}</main>
    <footer class="foot">
      <span>turbosqs console</span>
      <a href="_turbosqs/console/LICENSES.txt">Preact and htm, and their licences</a>
    </footer>`;
}

render(html`<${App} />`, document.getElementById("app"));
