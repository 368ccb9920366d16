// The banner: what is wrong, in words. It changes only when that changes, so that it is read out once.

import { byId, make } from "../dom.js";
import { clock } from "../text.js";

/** What is seen may be this old, in ticks and in seconds, before it counts as stale. */
const STALE_TICKS = 3;
const STALE_SECONDS = 15;

export class Health {
  #shown = "";

  draw(feed) {
    const problems = this.#problems(feed);
    const text = problems.map(([state, words]) => `${state} ${words}`).join("\n");
    if (text === this.#shown) return;
    this.#shown = text;
    byId("health").replaceChildren(...problems.map(([state, words]) => make("p", { class: `banner ${state}` }, words)));
  }

  #problems({ now, time, frames, lostSince }) {
    if (lostSince !== null) {
      const shown = now?.taken_at ? ` What you see is from ${clock(now.taken_at)}.` : "";
      return [["bad", `Disconnected: the agent has not answered since ${clock(lostSince)}.${shown}`]];
    }
    if (!now) return [];
    if (now.taken_at === null) return [["info", "The agent has started and reads its sources for the first time."]];
    const patience = Math.max(STALE_SECONDS, STALE_TICKS * (frames.at(-1)?.seconds ?? 0));
    const problems = [];
    if (time - now.taken_at > patience) {
      problems.push(["bad", `Stale: the agent answers, but its last tick ended at ${clock(now.taken_at)}.`]);
    }
    for (const source of now.sources.filter(isDown)) {
      const state = source.name === "envoy" ? "bad" : "warn";
      problems.push([state, `${describe(source.name)} is down: ${source.error}`]);
    }
    if (now.gpus?.lost) problems.push(["bad", `${now.gpus.lost} GPU lost: fallen off the bus, or not answering the driver.`]);
    if (frames.at(-1)?.traffic?.cut) problems.push(["warn", "More models, upstreams and tenants than fit: sums on this page are too low."]);
    return problems.length ? problems : [["ok", "All sources answer."]];
  }
}

/** Down, and not just without an answer yet or never configured. */
export function isDown({ up, error }) {
  return !up && error !== "not read yet" && !isUnset({ error });
}

/** A price that nobody has set is no failure. */
export function isUnset({ error }) {
  return error?.startsWith("no [price]") ?? false;
}

const NAMES = { envoy: "The gateway", nvml: "GPU telemetry", price: "The price", host: "Host telemetry", discovery: "GPU discovery", state: "The state file" };

function describe(name) {
  return NAMES[name] ?? (name.startsWith("engine:") ? `Engine ${name.slice("engine:".length)}` : name);
}
