// Numbers as people read them. What is not known is "-", never 0.

export const NONE = "-";

const known = (value) => typeof value === "number" && Number.isFinite(value);

/** With as many decimals as three digits leave room for; thousands are set apart. */
function digits(value) {
  const size = Math.abs(value);
  return fixed(value, size < 0.0005 || size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3);
}

/** Sums of a sliding window can be off by what floats are off by: what rounds to 0 has no sign. */
function fixed(value, decimals, prefix = "") {
  const text = Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  return `${value < 0 && /[1-9]/.test(text) ? "−" : ""}${prefix}${text}`;
}

const unit = (scale, name) => (value) => (known(value) ? `${digits(value * scale)}${name}` : NONE);

export const count = (value) => (known(value) ? Math.round(value).toLocaleString("en-US") : NONE);
export const plain = unit(1, "");
export const perSecond = unit(1, "/s");
export const percent = unit(100, " %");
export const watts = unit(1, " W");
export const celsius = unit(1, " °C");
export const joules = unit(1, " J");

export function seconds(value) {
  if (!known(value)) return NONE;
  return value < 1 ? `${digits(value * 1000)} ms` : `${digits(value)} s`;
}

export function dollars(value) {
  if (!known(value)) return NONE;
  const size = Math.abs(value);
  return fixed(value, size >= 0.00005 && size < 0.1 ? 4 : 2, "$");
}

export function gigabytes(value) {
  return known(value) ? `${digits(value / 2 ** 30)} GiB` : NONE;
}

/** For scales: without decimals that are all 0. */
export const short = (text) => text.replace(/\.0+(?!\d)/, "");

/** A span of time as "12 s", "5 min", "3 h". */
export function span(value) {
  if (!known(value)) return NONE;
  if (value < 120) return `${Math.max(0, Math.round(value))} s`;
  return value < 7200 ? `${Math.round(value / 60)} min` : `${Math.round(value / 3600)} h`;
}

/** A Unix time as the viewer's clock shows it. */
export function clock(unixSeconds) {
  return known(unixSeconds) ? new Date(unixSeconds * 1000).toLocaleTimeString("en-GB") : NONE;
}
