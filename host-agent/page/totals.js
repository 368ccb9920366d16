// Sums of frames. A frame holds increments, so adding frames and taking them away again gives the
// sums of any window.

/** Observations in buckets. */
export class Histogram {
  #buckets = new Map();
  count = 0;

  /** Adds buckets [lower, upper, observations], or takes them away; the last one has no upper bound. */
  add(buckets, sign = 1) {
    for (const [lower, upper, observations] of buckets ?? []) {
      const key = upper ?? Infinity;
      const bucket = this.#buckets.get(key) ?? { lower, count: 0 };
      bucket.count += sign * observations;
      this.count += sign * observations;
      this.#buckets.set(key, bucket);
    }
  }

  /**
   * The value below which a share `q` of the observations lies, by linear interpolation within the
   * bucket, as Prometheus' histogram_quantile works it out. Beyond the last bound it is that bound.
   */
  quantile(q) {
    if (this.count <= 0) return null;
    const rank = q * this.count;
    let below = 0;
    let value = null;
    for (const [upper, { lower, count }] of [...this.#buckets].sort(([a], [b]) => a - b)) {
      if (count <= 0) continue;
      if (upper === Infinity) return lower;
      value = lower + ((upper - lower) * Math.min(rank - below, count)) / count;
      if (below + count >= rank) return value;
      below += count;
    }
    return value;
  }
}

/** What a model did, or all of them. Numbers that nothing was added to are 0: nothing happened. */
class Part {
  requests = {};
  errors = {};
  tokens = { reported: { input: 0, output: 0 }, estimated: { input: 0, output: 0 } };
  cached = 0;
  eligible = 0;
  good = 0;
  ttft = new Histogram();
  tpot = new Histogram();
  duration = new Histogram();
  usd = { ok: 0, aborted: 0, error: 0 };
  joules = { ok: 0, aborted: 0, error: 0 };

  /** What the gateway counts by tenant. */
  addOfTenant(line, sign) {
    for (const [outcome, n] of Object.entries(line.requests ?? {})) bump(this.requests, outcome, sign * n);
    for (const [source, { input, output }] of Object.entries(line.tokens ?? {})) {
      const sums = (this.tokens[source] ??= { input: 0, output: 0 });
      sums.input += sign * input;
      sums.output += sign * output;
    }
    this.cached += sign * (line.cache_read_input_tokens ?? 0);
  }

  /** What it counts of all tenants together. */
  addOfAll(line, sign) {
    for (const [errorClass, phases] of Object.entries(line.errors ?? {})) {
      const sums = (this.errors[errorClass] ??= {});
      for (const [phase, n] of Object.entries(phases)) bump(sums, phase, sign * n);
    }
    this.eligible += sign * (line.slo_eligible ?? 0);
    this.good += sign * (line.slo_good ?? 0);
    this.ttft.add(line.ttft, sign);
    this.tpot.add(line.tpot, sign);
    this.duration.add(line.duration, sign);
  }

  get requestCount() {
    return Object.values(this.requests).reduce((sum, n) => sum + n, 0);
  }

  tokenCount(kind) {
    return Object.values(this.tokens).reduce((sum, of) => sum + of[kind], 0);
  }

  /** The share of the requests that failed or broke off, of those that their clients did not leave. */
  get failedShare() {
    const { error = 0, truncated = 0, client_abort = 0 } = this.requests;
    return ratio(error + truncated, this.requestCount - client_abort);
  }

  get goodput() {
    return ratio(this.good, this.eligible);
  }

  /** Dollars or joules of answers, whatever became of them. */
  cost(currency) {
    const { ok, aborted, error } = this[currency];
    return ok + aborted + error;
  }
}

/** Sums over a window, of what a choice lets through. */
export class Totals {
  #choice;
  all = new Part();
  models = new Map();
  /** For how long there are figures of each kind. */
  seconds = { traffic: 0, usd: 0, joules: 0 };
  usd = { idle: 0, unattributed: 0, pending: 0 };
  joules = { idle: 0, unattributed: 0, pending: 0 };
  cut = 0;

  constructor(choice) {
    this.#choice = choice;
  }

  add(frame, sign = 1) {
    if (frame.traffic) {
      this.seconds.traffic += sign * frame.traffic.seconds;
      this.cut += sign * (frame.traffic.cut ? 1 : 0);
      for (const line of frame.traffic.lines) this.#addLine(line, sign);
    }
    for (const currency of ["usd", "joules"]) {
      if (frame[currency]) this.#addSpend(currency, frame[currency], sign);
    }
  }

  model(name) {
    if (!this.models.has(name)) this.models.set(name, new Part());
    return this.models.get(name);
  }

  #addLine(line, sign) {
    const { model, upstream, tenant } = this.#choice;
    if ((model && line.model !== model) || (upstream && line.upstream !== upstream)) return;
    for (const part of [this.all, this.model(line.model)]) {
      if (!tenant || line.tenant === tenant) part.addOfTenant(line, sign);
      part.addOfAll(line, sign);
    }
  }

  #addSpend(currency, spend, sign) {
    const { model, tenant } = this.#choice;
    this.seconds[currency] += sign * spend.seconds;
    for (const rest of ["idle", "unattributed", "pending"]) this[currency][rest] += sign * spend[rest];
    for (const line of spend.attributed) {
      if ((model && line.model !== model) || (tenant && line.tenant !== tenant)) continue;
      for (const part of [this.all, this.model(line.model)]) bump(part[currency], line.outcome, sign * line.amount);
    }
  }
}

export function ratio(part, whole) {
  return whole > 0 ? part / whole : null;
}

function bump(sums, name, by) {
  sums[name] = (sums[name] ?? 0) + by;
}
