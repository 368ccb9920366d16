// Asks the agent for what is new, and keeps the frames that charts show.

import { SPAN_SECONDS } from "./window.js";

const URL = "api/v1/live";
const PATIENCE_MILLISECONDS = 5000;
/** The longest window, on top of what charts show. */
const KEPT_SECONDS = 2 * SPAN_SECONDS;

export class Feed {
  frames = [];
  /** The agent's summary; null before it first answered. */
  now = null;
  /** The agent's clock when it last answered, Unix seconds. */
  time = null;
  /** Since when the agent has not answered, by the viewer's clock; null while it does. */
  lostSince = null;
  #cursor = "";

  async poll() {
    try {
      const signal = AbortSignal.timeout(PATIENCE_MILLISECONDS);
      const answer = await fetch(`${URL}?after=${encodeURIComponent(this.#cursor)}`, { cache: "no-store", signal });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      const { time, cursor, frames, now } = await answer.json();
      this.#keep(frames);
      Object.assign(this, { time, now, lostSince: null });
      this.#cursor = cursor;
    } catch {
      this.lostSince ??= Date.now() / 1000;
    }
  }

  /** Frames of an agent that was started anew follow those of the one before it. */
  #keep(frames) {
    if (!frames.length) return;
    const begin = frames[0].at;
    const end = frames.at(-1).at;
    const old = this.frames.filter((frame) => frame.at < begin && frame.at > end - KEPT_SECONDS);
    this.frames = [...old, ...frames];
  }
}
