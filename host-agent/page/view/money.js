// Tokens, what they cost in money and energy, and what was paid for nothing.

import { Charts, look } from "../chart.js";
import { byId, fill, make, say } from "../dom.js";
import { dollars, joules, NONE, percent, perSecond, watts } from "../text.js";
import { ratio } from "../totals.js";
import { busiest, byName } from "./models.js";
import { isUnset } from "./health.js";

const MAX_CHARTED = 6;

/** What money and energy go to. */
const SPENT = [
  { name: "used", color: "c1", dash: [], of: ({ all }, currency) => all[currency].ok },
  { name: "wasted", color: "c2", dash: [6, 3], width: 2.5, of: ({ all }, currency) => all[currency].aborted + all[currency].error },
  { name: "idle", color: "c5", dash: [2, 3], width: 2, of: (totals, currency) => totals[currency].idle },
  { name: "unattributed", color: "c4", dash: [8, 3, 2, 3], of: (totals, currency) => totals[currency].unattributed },
  { name: "pending", color: "c6", dash: [3, 3], of: (totals, currency) => totals[currency].pending },
];

export class Money {
  #charts = new Charts(byId("money-charts"));

  draw(picture) {
    const { totals, newest, times, slide, now } = picture;
    say(byId("money-empty"), now.cost ? "" : withoutPrice(now));
    byId("split").hidden = !now.cost;
    if (now.cost) drawSplit(totals, newest, now.cost);
    drawModels(totals, newest, now);
    drawBudgets(now);

    const charted = busiest(slide, MAX_CHARTED).names;
    const past = slide(({ models, ...totals }, newest) => ({
      tokens: charted.map((name) => (newest?.traffic && totals.seconds.traffic > 0 ? (models.get(name)?.tokenCount("output") ?? 0) / totals.seconds.traffic : null)),
      spent: SPENT.map(({ of }) => (newest?.usd ? perHour(of(totals, "usd"), totals.seconds.usd) : null)),
    }));
    const tokens = charted.map((name, place) => ({ name, ...look(place), values: past.map((at) => at.tokens[place]) }));
    const spent = SPENT.slice(0, 4).map(({ of: _, ...line }, place) => ({ ...line, values: past.map((at) => at.spent[place]) }));
    this.#charts.update(times, [
      { title: "Output tokens by model", format: perSecond, lines: tokens },
      ...(now.cost ? [{ title: "Spend per hour", format: dollars, lines: spent }] : []),
    ]);
  }
}

function withoutPrice({ sources }) {
  const price = sources.find(({ name }) => name === "price");
  if (!price || isUnset(price)) return "No price is configured, so nothing is known of cost: set [price] in the agent's configuration, and send SIGHUP.";
  return `There is no price, so nothing is known of cost: ${price.error}`;
}

function drawSplit(totals, newest, cost) {
  const known = Boolean(newest?.usd);
  const parts = SPENT.map(({ name, color, of }) => ({
    name, color,
    usd: known ? of(totals, "usd") : null,
    watts: newest?.joules ? ratio(of(totals, "joules"), totals.seconds.joules) : null,
  }));
  const bill = parts.reduce((sum, { usd }) => sum + usd, 0);
  const since = {
    used: cost.attributed_usd - cost.wasted_usd, wasted: cost.wasted_usd, idle: cost.idle_usd,
    unattributed: cost.unattributed_usd, pending: cost.pending_usd, bill: cost.bill_usd,
  };
  const whole = { name: "bill", usd: known ? bill : null, watts: known ? parts.reduce((sum, { watts }) => (watts === null ? sum : sum + watts), null) : null };
  fill(byId("split-table"), [...parts, whole], ({ name }) => name, ({ name, color, usd, watts: power }) => [
    { text: name, state: color ? `key ${color}` : "" }, dollars(known ? perHour(usd, totals.seconds.usd) : null), percent(known ? ratio(usd, bill) : null), watts(power), dollars(since[name]),
  ]);
  const bar = byId("split-bar");
  if (!bar.children.length) bar.append(...parts.map(({ color }) => make("span", { class: color })));
  parts.forEach(({ usd }, place) => {
    bar.children[place].style.flexGrow = known && bill > 0 ? Math.max(0, usd / bill) : 0;
  });
}

function drawModels(totals, newest, { models }) {
  const known = newest?.traffic || newest?.usd;
  const rows = known ? byName(totals) : [];
  fill(byId("tokens"), rows, ([name]) => name, ([name, part]) => {
    const rate = (n) => (newest.traffic ? perSecond(ratio(n, totals.seconds.traffic)) : NONE);
    const [input, output] = [part.tokenCount("input"), part.tokenCount("output")];
    const estimated = part.tokens.estimated.input + part.tokens.estimated.output;
    const unit = models.find(({ model }) => model === name)?.usd_per_million_tokens;
    return [
      name, rate(input), percent(newest.traffic ? ratio(part.cached, input) : null), rate(output),
      percent(newest.traffic ? ratio(estimated, input + output) : null),
      dollars(newest.usd ? perHour(part.cost("usd"), totals.seconds.usd) : null),
      dollars(unit?.usage.all), dollars(unit?.allocation.all),
      joules(newest.joules && newest.traffic ? ratio(part.cost("joules"), output) : null),
    ];
  });
}

function drawBudgets({ budgets, taken_at }) {
  byId("budgets-part").hidden = !budgets.length;
  fill(byId("budgets"), budgets, ({ budget }) => budget, ({ budget, spent_usd, limit_usd, forecast_usd, period_start, period_end }) => {
    const gone = (taken_at - period_start) / (period_end - period_start);
    const [words, state] = spent_usd > limit_usd ? ["✕ exceeded", "bad"] : forecast_usd > limit_usd ? ["▲ will be exceeded", "warn"] : ["✓ within", ""];
    return [budget, dollars(spent_usd), dollars(limit_usd), percent(ratio(spent_usd, limit_usd)), percent(gone), dollars(forecast_usd), { text: words, state }];
  });
}

function perHour(usd, seconds) {
  const rate = ratio(usd, seconds);
  return rate === null ? null : rate * 3600;
}
