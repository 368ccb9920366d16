// The top of the page: a few numbers that say whether all is well.

import { Spark } from "../chart.js";
import { byId, make, setText } from "../dom.js";
import { celsius, count, dollars, percent, perSecond, plain, seconds, watts } from "../text.js";
import { ratio } from "../totals.js";

/** From these shares on, requests that fail or miss their SLOs are marked. */
const LIMITS = { failed: { warn: 0.01, bad: 0.05 }, missed: { warn: 0.01, bad: 0.05 } };

const traffic = (figure) => (totals, newest) => (newest?.traffic && totals.seconds.traffic > 0 ? figure(totals) : null);
const gauges = (newest, figure) => Object.values(newest?.gpus ?? {}).map((gpu) => gpu[figure]).filter((value) => value !== null);
const mean = (values) => ratio(values.reduce((sum, value) => sum + value, 0), values.length);
const sum = (values) => (values.length ? values.reduce((a, b) => a + b, 0) : null);

/** `value` is drawn over time and written large; `note` is written below it; `state` marks trouble. */
const TILES = [
  {
    title: "Requests",
    about: "Requests that ended, whatever their outcome; in flight: begun and not ended.",
    value: traffic(({ all, seconds }) => all.requestCount / seconds.traffic),
    text: perSecond,
    note: ({ newest }) => `${count(newest?.traffic?.active)} in flight`,
  },
  {
    title: "Failed",
    about: "Errors and truncated streams ÷ all requests that their clients did not leave.",
    value: traffic(({ all }) => all.failedShare),
    text: percent,
    note: ({ totals: { all }, newest }) => `${newest?.traffic ? count((all.requests.error ?? 0) + (all.requests.truncated ?? 0)) : "-"} requests`,
    state: (value) => mark(value, LIMITS.failed),
  },
  {
    title: "Time to first token, p95",
    about: "95 % of the streams had their first generated event after this time or less. Over all models that are shown.",
    value: traffic(({ all }) => all.ttft.quantile(0.95)),
    text: seconds,
    note: ({ totals: { all }, newest }) => percentiles(newest, all.ttft),
  },
  {
    title: "Time per output token, p95",
    about: "95 % of the streams took this time or less for each token after the first. Over all models that are shown.",
    value: traffic(({ all }) => all.tpot.quantile(0.95)),
    text: seconds,
    note: ({ totals: { all }, newest }) => percentiles(newest, all.tpot),
  },
  {
    title: "Goodput",
    about: "Requests that succeeded within every SLO of their model ÷ requests that count. Set slos in the filter's configuration.",
    value: traffic(({ all }) => all.goodput),
    text: percent,
    note: ({ totals: { all }, newest }) => (newest?.traffic && all.eligible > 0 ? `${count(all.eligible - all.good)} missed` : "no SLO, or no traffic"),
    state: (value) => mark(value === null ? null : 1 - value, LIMITS.missed),
  },
  {
    title: "Output tokens",
    about: "Generated tokens of the requests that ended, reasoning included, reported or estimated.",
    value: traffic(({ all, seconds }) => all.tokenCount("output") / seconds.traffic),
    text: perSecond,
    note: ({ totals: { all, seconds }, newest }) => `${newest?.traffic ? plain(ratio(all.tokenCount("input"), seconds.traffic)) : "-"} input/s`,
  },
  {
    title: "$ per million tokens",
    about: "What the answers cost, failed and left ones included, ÷ their input and output tokens. Without idle time: the table below has both.",
    value: ({ all }, newest) => (newest?.usd && newest.traffic ? ratio(all.cost("usd") * 1e6, all.tokenCount("input") + all.tokenCount("output")) : null),
    text: dollars,
    note: ({ now }) => (now.cost ? `host ${dollars(now.cost.usd_per_hour)} per hour` : "no price: set [price]"),
  },
  {
    title: "GPU utilisation",
    about: "Mean over the GPUs of the share of time in which a kernel ran: time busy, not how full they were.",
    value: (_, newest) => mean(gauges(newest, "utilization_ratio")),
    text: percent,
    note: ({ newest }) => {
      const power = watts(sum(gauges(newest, "power_watts")));
      const hottest = gauges(newest, "temperature_celsius");
      return `${power} · ${celsius(hottest.length ? Math.max(...hottest) : null)}`;
    },
  },
];

export class Glance {
  #tiles = TILES.map((tile) => {
    const big = make("p", { class: "big" }, "-");
    const small = make("p", { class: "note" });
    const spark = make("div", { class: "spark", "aria-hidden": "true" });
    const what = make("details", { class: "what" }, make("summary", {}, make("span", { class: "hidden" }, `What is “${tile.title}”`), "?"), make("p", {}, tile.about));
    const node = make("article", { class: "tile" }, make("header", {}, make("h3", {}, tile.title), what), big, small, spark);
    byId("tiles").append(node);
    return { ...tile, node, big, small, spark: new Spark(spark) };
  });

  draw(picture) {
    const { times, totals, newest, slide } = picture;
    const past = slide((totals, newest) => this.#tiles.map(({ value }) => value(totals, newest)));
    this.#tiles.forEach((tile, place) => {
      const value = tile.value(totals, newest);
      setText(tile.big, tile.text(value));
      setText(tile.small, tile.note(picture));
      const state = tile.state?.(value) ?? "";
      if (tile.node.dataset.state !== state) tile.node.dataset.state = state;
      tile.spark.update(times, past.map((values) => values[place]));
    });
  }
}

function mark(share, { warn, bad }) {
  if (share === null || share < warn) return "";
  return share < bad ? "warn" : "bad";
}

function percentiles(newest, histogram) {
  if (!newest?.traffic) return "p50 - · p99 -";
  return `p50 ${seconds(histogram.quantile(0.5))} · p99 ${seconds(histogram.quantile(0.99))}`;
}
