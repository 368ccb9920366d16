// What became of requests, and why they failed.

import { Charts } from "../chart.js";
import { byId, fill, say } from "../dom.js";
import { count, percent, perSecond } from "../text.js";
import { byName } from "./models.js";

/** Outcomes with the colours of what they mean. */
const OUTCOMES = [
  { name: "success", color: "c1", dash: [] },
  { name: "error", color: "c2", dash: [6, 3], width: 2.5 },
  { name: "client_abort", color: "c3", dash: [2, 3], width: 2 },
  { name: "truncated", color: "c4", dash: [8, 3, 2, 3], width: 2 },
];
const PHASES = ["before_stream", "in_stream", "after_stream"];

export class Requests {
  #charts = new Charts(byId("requests-charts"));

  draw({ totals, newest, times, slide }) {
    const known = Boolean(newest?.traffic);
    const models = known ? byName(totals).filter(([, part]) => part.requestCount || part.eligible) : [];
    const all = known ? [["All shown", totals.all]] : [];
    fill(byId("outcomes"), [...models, ...all], ([name]) => name, ([name, part]) => [
      name, ...OUTCOMES.map((outcome) => marked(outcome.name, part.requests[outcome.name] ?? 0)), percent(part.goodput),
    ]);
    const errors = known ? Object.entries(totals.all.errors).filter(([, phases]) => PHASES.some((phase) => phases[phase])) : [];
    fill(byId("errors"), errors.sort(), ([name]) => name, ([name, phases]) => [name, ...PHASES.map((phase) => count(phases[phase] ?? 0))]);
    say(byId("errors-empty"), errors.length ? "" : known ? "No errors within the window." : "Not known: the gateway gives no figures.");

    const past = slide(({ all, seconds }, newest) => {
      const rate = (n) => (newest?.traffic && seconds.traffic > 0 ? n / seconds.traffic : null);
      const goodput = newest?.traffic ? all.goodput : null;
      return { outcomes: OUTCOMES.map(({ name }) => rate(all.requests[name] ?? 0)), goodput, failed: newest?.traffic ? all.failedShare : null };
    });
    const outcomes = OUTCOMES.map((line, place) => ({ ...line, values: past.map((at) => at.outcomes[place]) }));
    const shares = [
      { name: "goodput", color: "c1", dash: [], values: past.map((at) => at.goodput) },
      { name: "failed", color: "c2", dash: [6, 3], width: 2.5, values: past.map((at) => at.failed) },
    ];
    this.#charts.update(times, [
      { title: "Requests by outcome", format: perSecond, lines: outcomes },
      { title: "Goodput and failed share", format: percent, max: 1, lines: shares },
    ]);
  }
}

function marked(outcome, n) {
  const failed = n > 0 && (outcome === "error" || outcome === "truncated");
  return { text: count(n), state: failed ? "warn" : "" };
}
