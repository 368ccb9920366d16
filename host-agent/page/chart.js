// Line charts. uPlot draws; the legend is ours, so that it is text, and shows the value under the cursor.

import { make, setText } from "./dom.js";
import { clock, short } from "./text.js";

/** A chart's scale of time covers this at least. */
const SHORTEST_SECONDS = 30;

const { uPlot } = globalThis;

/** Colours that the colour-blind tell apart; style.css has each in light and dark. */
const COLORS = ["c1", "c2", "c3", "c4", "c5", "c6"];
/** With more lines than colours the pattern tells them apart. */
const DASHES = [[], [6, 4], [2, 3], [8, 3, 2, 3]];

const dark = matchMedia("(prefers-color-scheme: dark)");
const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** The look of the nth of several lines of equal rank. */
export function look(place) {
  return { color: COLORS[place % COLORS.length], dash: DASHES[Math.floor(place / COLORS.length) % DASHES.length] };
}

/** The three percentiles of a latency. */
export const PERCENTILES = [
  { name: "p50", color: "c1", dash: [] },
  { name: "p95", color: "c2", dash: [], width: 2.5 },
  { name: "p99", color: "c4", dash: [2, 3], width: 2 },
];

export class Chart {
  #plot = null;
  #drawn = "";
  node;
  #canvas = make("div", { class: "plot", role: "img" });
  #legend = make("ul", { class: "legend" });
  #title;
  #format;
  #max;
  #lines = [];
  #data = [[]];

  /** `format` writes values with their unit; `max` fixes the top of the scale. */
  constructor(parent, { title, format, max = null }) {
    this.#title = title;
    this.#format = format;
    this.#max = max;
    this.node = make("figure", { class: "chart" }, make("figcaption", {}, title), this.#canvas, this.#legend);
    parent.append(this.node);
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(this.#canvas);
    dark.addEventListener("change", () => this.#draw(true));
  }

  /** Shows lines `{ name, values, color, dash, width }` over times. A value that is null is a gap. */
  update(times, lines) {
    this.#lines = lines;
    this.#data = [times, ...lines.map((line) => line.values)];
    this.#draw(false);
    this.#tell(null);
    const last = lines.map((line) => `${line.name} ${this.#format(line.values.at(-1))}`).join(", ");
    this.#canvas.setAttribute("aria-label", `${this.#title}, last 15 minutes. Now: ${last || "nothing"}`);
  }

  remove() {
    this.#plot?.destroy();
    this.node.remove();
  }

  #draw(anew) {
    const drawn = this.#lines.map((line) => line.name).join("\n");
    if (this.#plot && !anew && drawn === this.#drawn) {
      this.#plot.setData(this.#data);
      return;
    }
    this.#drawn = drawn;
    this.#plot?.destroy();
    this.#legend.replaceChildren(...this.#lines.map(legendItem));
    this.#plot = new uPlot(this.#options(), this.#data, this.#canvas);
  }

  #size() {
    return { width: Math.max(this.#canvas.clientWidth, 80), height: this.#canvas.clientHeight };
  }

  #options() {
    const axis = { stroke: token("muted"), grid: { stroke: token("grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    return {
      ...this.#size(),
      legend: { show: false },
      cursor: { y: false, drag: { setScale: false } },
      scales: {
        x: { range: timeScale },
        y: { range: (_, __, max) => [0, this.#max ?? (max > 0 ? max * 1.1 : 1)] },
      },
      axes: [
        { ...axis, size: 30, space: 60, values: timeLabels },
        { ...axis, size: 64, space: 32, values: (_, ticks) => ticks.map((value) => short(this.#format(value))) },
      ],
      series: [{}, ...this.#lines.map(({ name, color, dash, width = 1.75 }) => ({
        label: name, stroke: token(color), dash, width, points: { show: alone, size: 4 },
      }))],
      hooks: { setCursor: [(plot) => this.#tell(plot.cursor.idx)] },
    };
  }

  /** Writes the values at a place into the legend; the last ones where the cursor is elsewhere. */
  #tell(place) {
    this.#lines.forEach(({ values }, at) => {
      setText(this.#legend.children[at].lastChild, this.#format(place == null ? values.at(-1) : values[place]));
    });
  }
}

/** All that is known. */
function timeScale(_, first, last) {
  return last === null ? [0, SHORTEST_SECONDS] : [Math.min(first, last - SHORTEST_SECONDS), last];
}

/** Hours and minutes; seconds too where labels are closer than a minute. */
function timeLabels(_, times, __, ___, step) {
  return times.map((at) => (step < 60 ? clock(at) : clock(at).slice(0, 5)));
}

/** A point without neighbours would not be seen as a line. */
function alone(plot, series, first, last) {
  const values = plot.data[series].slice(first, last + 1);
  return values.filter((value) => value != null).length === 1;
}

function legendItem({ name, color, dash }) {
  const swatch = make("span", { class: `swatch ${color} ${dash.length ? "dashed" : ""}`, "aria-hidden": "true" });
  return make("li", {}, swatch, make("span", { class: "name", title: name }, name), make("span", { class: "value" }));
}

/** A line without axes, beside a number that says it all. */
export class Spark {
  #plot;
  #canvas;
  #data = [[], []];

  constructor(canvas) {
    this.#canvas = canvas;
    this.#draw();
    new ResizeObserver(() => this.#plot.setSize(this.#size())).observe(canvas);
    dark.addEventListener("change", () => this.#draw());
  }

  update(times, values) {
    this.#data = [times, values];
    this.#plot.setData(this.#data);
  }

  #size() {
    return { width: Math.max(this.#canvas.clientWidth, 40), height: this.#canvas.clientHeight };
  }

  #draw() {
    this.#plot?.destroy();
    const options = {
      ...this.#size(),
      legend: { show: false },
      cursor: { show: false },
      padding: [2, 0, 2, 0],
      scales: {
        x: { range: timeScale },
        y: { range: (_, __, max) => [0, max > 0 ? max * 1.05 : 1] },
      },
      axes: [{ show: false }, { show: false }],
      series: [{}, { stroke: token("c1"), fill: token("fill"), width: 1.5, points: { show: false } }],
    };
    this.#plot = new uPlot(options, this.#data, this.#canvas);
  }
}

/** Charts of one section by name, made when first shown and taken away when no longer. */
export class Charts {
  #parent;
  #charts = new Map();

  constructor(parent) {
    this.#parent = parent;
  }

  /** Each of `wanted` is `{ title, format, max, lines }`. */
  update(times, wanted) {
    const titles = wanted.map(({ title }) => title);
    for (const [title, chart] of this.#charts) {
      if (!titles.includes(title)) {
        chart.remove();
        this.#charts.delete(title);
      }
    }
    wanted.forEach(({ lines, ...options }, place) => {
      if (!this.#charts.has(options.title)) this.#charts.set(options.title, new Chart(this.#parent, options));
      const chart = this.#charts.get(options.title);
      if (this.#parent.children[place] !== chart.node) this.#parent.insertBefore(chart.node, this.#parent.children[place]);
      chart.update(times, lines);
    });
  }
}
