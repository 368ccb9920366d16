// GPUs and serving engines: what they do now and did lately.

import { Charts, look } from "../chart.js";
import { byId, fill, say } from "../dom.js";
import { celsius, count, gigabytes, NONE, percent, plain, watts } from "../text.js";

const MAX_CHARTED = 8;

/** What is no trouble when it holds a GPU's clocks. */
const HARMLESS = ["gpu_idle", "applications_clocks", "sync_boost", "display_clocks"];

const GPU_CHARTS = [
  { title: "GPU utilisation", figure: "utilization_ratio", format: percent, max: 1 },
  { title: "GPU memory", figure: "memory_used_ratio", format: percent, max: 1 },
  { title: "GPU power", figure: "power_watts", format: watts },
  { title: "GPU temperature", figure: "temperature_celsius", format: celsius },
];
const ENGINE_CHARTS = [
  { title: "Engine queue", figure: "requests_waiting", format: plain },
  { title: "Engine KV cache", figure: "kv_cache_usage", format: percent, max: 1 },
];

export class Gpus {
  #gpuCharts = new Charts(byId("gpu-charts"));
  #engineCharts = new Charts(byId("engine-charts"));

  draw({ now, times, slide }) {
    const gpus = now.gpus?.answering ?? [];
    say(byId("gpus-empty"), gpus.length ? "" : withoutGpus(now));
    byId("gpus-part").hidden = !gpus.length;
    fill(byId("gpus"), gpus, ({ uuid }) => uuid, gpuCells);
    const named = gpus.map(({ uuid, index }) => ({ key: uuid, name: `GPU ${index}` }));
    this.#gpuCharts.update(times, gauges(slide, "gpus", named, GPU_CHARTS));

    say(byId("engines-empty"), now.engines.length ? "" : "No serving engine is configured: [[engines]] in the agent's configuration shows queue and KV cache.");
    byId("engines-part").hidden = !now.engines.length;
    fill(byId("engines"), now.engines, ({ engine }) => engine, engineCells);
    const engines = now.engines.map(({ engine }) => ({ key: engine, name: engine }));
    this.#engineCharts.update(times, gauges(slide, "engines", engines, ENGINE_CHARTS));
  }
}

/** Charts of gauges, one line for each of `named`. */
function gauges(slide, kind, named, charts) {
  if (!named.length) return [];
  const past = slide((_, newest) => newest?.[kind] ?? {});
  const lines = (figure) => named.slice(0, MAX_CHARTED).map(({ key, name }, place) => ({
    name, ...look(place), values: past.map((at) => at[key]?.[figure] ?? null),
  }));
  return charts.map(({ figure, ...chart }) => ({ ...chart, lines: lines(figure) }));
}

function withoutGpus({ sources }) {
  const nvml = sources.find(({ name }) => name === "nvml");
  if (!nvml) return "GPU telemetry is switched off: [nvml] in the agent's configuration.";
  return nvml.up ? "No GPU answers." : `GPU telemetry gives no figures: ${nvml.error}`;
}

function gpuCells(gpu) {
  const memory = gpu.memory_total_bytes ? gpu.memory_used_bytes / gpu.memory_total_bytes : null;
  const limit = gpu.power_limit_watts === null ? "" : ` of ${watts(gpu.power_limit_watts)}`;
  const held = gpu.clock_events.join(", ") || "nothing";
  const xids = gpu.xids.map(({ xid, count }) => `${xid} (${count}×)`).join(", ") || "none";
  return [
    `${gpu.index} ${gpu.name ?? gpu.uuid}`,
    percent(gpu.utilization_ratio),
    memory === null ? NONE : `${percent(memory)} of ${gigabytes(gpu.memory_total_bytes)}`,
    `${watts(gpu.power_watts)}${limit}`,
    celsius(gpu.temperature_celsius),
    { text: held, state: gpu.clock_events.some((event) => !HARMLESS.includes(event)) ? "warn" : "" },
    { text: xids, state: gpu.xids.length ? "bad" : "" },
  ];
}

function engineCells({ engine, kind, upstream, requests_running, requests_waiting, kv_cache_usage }) {
  return [
    engine, kind ?? NONE, upstream ?? NONE, count(requests_running),
    { text: count(requests_waiting), state: requests_waiting > 0 ? "warn" : "" }, percent(kv_cache_usage),
  ];
}
