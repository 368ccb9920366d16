// What the viewer wants to see. It stands in the address, so that a reload or a colleague sees the same.

import { byId, make } from "./dom.js";

const FILTERS = ["model", "upstream", "tenant"];
/** Windows of rates, shares and percentiles, by their name in the address. */
const WINDOWS = { "1m": [60, "last minute"], "5m": [300, "last 5 minutes"], "15m": [900, "last 15 minutes"] };

export class Choice {
  #changed;

  constructor(changed) {
    this.#changed = changed;
    this.#read();
    const windows = Object.entries(WINDOWS).map(([value, [, text]]) => make("option", { value }, text));
    byId("window").append(...windows);
    for (const name of [...FILTERS, "window"]) {
      byId(name).addEventListener("change", ({ target }) => this.#write(name, target.value));
    }
    addEventListener("popstate", () => this.#read() ?? this.#changed());
    byId("choice").addEventListener("submit", (event) => event.preventDefault());
  }

  #read() {
    const address = new URLSearchParams(location.search);
    for (const name of FILTERS) this[name] = address.get(name) ?? "";
    this.windowName = Object.hasOwn(WINDOWS, address.get("window")) ? address.get("window") : "1m";
    [this.window, this.windowText] = WINDOWS[this.windowName];
  }

  #write(name, value) {
    const address = new URLSearchParams(location.search);
    if (value && !(name === "window" && value === "1m")) address.set(name, value);
    else address.delete(name);
    const query = address.toString();
    history.pushState(null, "", query ? `?${query}` : location.pathname);
    this.#read();
    this.#changed();
  }

  /** Offers what there is to choose from. A choice that is not there now stays one. */
  offer(frames) {
    const seen = { model: new Set(), upstream: new Set(), tenant: new Set() };
    for (const frame of frames) {
      for (const line of frame.traffic?.lines ?? []) {
        for (const name of FILTERS) if (line[name]) seen[name].add(line[name]);
      }
    }
    for (const name of FILTERS) {
      const select = byId(name);
      const values = [...seen[name].add(this[name])].filter(Boolean).sort();
      const known = Array.from(select.options, (option) => option.value);
      if (!select.options.length || known.slice(1).join("\n") !== values.join("\n")) {
        const options = values.map((value) => make("option", { value }, value));
        select.replaceChildren(make("option", { value: "" }, `All ${name}s`), ...options);
      }
      if (select.value !== this[name]) select.value = this[name];
    }
    if (byId("window").value !== this.windowName) byId("window").value = this.windowName;
  }

  /** What the gateway or the cost model cannot tell apart, though it was asked for. */
  get notice() {
    const parts = [];
    if (this.tenant) parts.push("Latency, error classes and goodput are not counted by tenant: they show all tenants.");
    if (this.upstream) parts.push("Cost and energy are not counted by upstream: they show all upstreams.");
    return parts.join(" ");
  }
}
