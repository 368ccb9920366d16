// Where the figures come from, and whether it answers.

import { byId, fill } from "../dom.js";
import { NONE, span } from "../text.js";
import { isDown, isUnset } from "./health.js";

export class Sources {
  draw({ now, time }) {
    fill(byId("sources"), now.sources, ({ name }) => name, (source) => {
      const last = source.last_success === null ? NONE : `${span(time - source.last_success)} ago`;
      return [source.name, state(source), last, source.error ?? ""];
    });
  }
}

function state(source) {
  if (source.up) return { text: "✓ up", state: "good" };
  if (isUnset(source)) return { text: "not configured", state: "" };
  return isDown(source) ? { text: "✕ down", state: "bad" } : { text: "waiting", state: "" };
}
