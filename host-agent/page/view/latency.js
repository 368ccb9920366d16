// Percentiles by model: a table of all, and charts of the busiest.

import { Charts, PERCENTILES } from "../chart.js";
import { byId, fill, say } from "../dom.js";
import { count, seconds } from "../text.js";
import { busiest, byName } from "./models.js";

const QUANTILES = [0.5, 0.95, 0.99];
const MAX_CHARTED = 6;

export class Latency {
  #charts = new Charts(byId("latency-charts"));

  draw({ totals, newest, times, slide, now }) {
    const models = newest?.traffic ? byName(totals).filter(([, part]) => part.requestCount || part.duration.count) : [];
    const of = (histogram) => QUANTILES.map((q) => seconds(histogram.quantile(q)));
    fill(byId("latency"), models, ([name]) => name, ([name, part]) => [
      name, count(part.requestCount), ...of(part.ttft), ...of(part.tpot), ...of(part.duration),
    ]);
    say(byId("latency-empty"), models.length ? "" : emptiness(newest, now));

    const charted = busiest(slide, MAX_CHARTED);
    say(byId("latency-more"), charted.more ? `Charts are of the ${MAX_CHARTED} busiest models. Choose one above to see another.` : "");
    const past = slide(({ models }, newest) => {
      const part = (name) => (newest?.traffic ? models.get(name) : undefined);
      return charted.names.map((name) => [part(name)?.ttft, part(name)?.tpot].map((h) => QUANTILES.map((q) => h?.quantile(q) ?? null)));
    });
    const lines = (place, latency) => PERCENTILES.map((line, q) => ({ ...line, values: past.map((at) => at[place][latency][q]) }));
    this.#charts.update(times, charted.names.flatMap((name, place) => [
      { title: `${name}: time to first token`, format: seconds, lines: lines(place, 0) },
      { title: `${name}: time per output token`, format: seconds, lines: lines(place, 1) },
    ]));
  }
}

/** Why there is nothing to see. */
export function emptiness(newest, now) {
  if (now.sources.some(({ name, up }) => name === "envoy" && !up)) return "The gateway cannot be read, so nothing is known of its traffic.";
  if (!newest) return "The first figures come with the agent's second tick.";
  return "No request ended within the window that the filters let through.";
}
