// The page: asks the agent each second, works out the window, draws.
//
//   feed ─► frames ─► window: totals at each time ─► view/*: text, tables, charts

import { Choice } from "./choice.js";
import { byId, say, setClass, setText } from "./dom.js";
import { Feed } from "./feed.js";
import { clock, span } from "./text.js";
import { latest, slide, times } from "./window.js";
import { Glance } from "./view/glance.js";
import { Gpus } from "./view/gpus.js";
import { Health } from "./view/health.js";
import { Latency } from "./view/latency.js";
import { Money } from "./view/money.js";
import { Requests } from "./view/requests.js";
import { Sources } from "./view/sources.js";

const PERIOD_MILLISECONDS = 1000;

const feed = new Feed();
const choice = new Choice(draw);
const views = [new Glance(), new Latency(), new Requests(), new Money(), new Gpus(), new Sources()];
const health = new Health();

/** Everything that a view shows: the summary, the window's totals, and the same at each time for charts. */
function picture() {
  const { frames, now } = feed;
  const at = times(frames);
  const { totals, newest } = latest(frames, choice);
  return { now, choice, totals, newest, times: at, slide: (look) => slide(frames, choice, at, look), time: feed.time };
}

function draw() {
  choice.offer(feed.frames);
  health.draw(feed);
  setClass(document.body, "stale", feed.lostSince !== null);
  say(byId("notice"), choice.notice);
  if (!feed.now) return;
  setText(byId("as-of"), asOf(feed));
  setText(byId("version"), `gaugeway-agent ${feed.now.version}`);
  for (const node of document.querySelectorAll("h2 .window")) setText(node, choice.windowText);
  const shown = picture();
  for (const view of views) view.draw(shown);
}

function asOf({ now, time, lostSince }) {
  if (now.taken_at === null) return "The agent has not finished its first tick.";
  const age = lostSince === null ? `, ${span(time - now.taken_at)} ago` : "";
  return `As of ${clock(now.taken_at)}${age}`;
}

async function turn() {
  // Nobody looks at a hidden page; it catches up when it is shown again.
  if (!document.hidden) {
    await feed.poll();
    draw();
  }
  setTimeout(turn, PERIOD_MILLISECONDS);
}

turn();
