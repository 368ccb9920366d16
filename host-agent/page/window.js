// A window that slides over the frames.

import { Totals } from "./totals.js";

/** Charts go back this far. */
export const SPAN_SECONDS = 900;
const STEP_SECONDS = 5;

/** When charts have their points: every few seconds, and at the newest frame. */
export function times(frames) {
  const end = frames.at(-1)?.at;
  if (end === undefined) return [];
  const list = [];
  const begin = Math.max(frames[0].at, end - SPAN_SECONDS);
  for (let at = Math.ceil(begin / STEP_SECONDS) * STEP_SECONDS; at < end; at += STEP_SECONDS) list.push(at);
  return [...list, end];
}

/**
 * Gives `look` the totals of the window that ends at each time, and the newest frame of it. That frame is
 * null where there was none for a while: nobody knows, and nothing old is shown.
 */
export function slide(frames, choice, at, look) {
  const totals = new Totals(choice);
  let first = 0;
  let next = 0;
  return at.map((time) => {
    while (next < frames.length && frames[next].at <= time) totals.add(frames[next++]);
    while (first < next && frames[first].at <= time - choice.window) totals.add(frames[first++], -1);
    const newest = frames[next - 1];
    const patience = 3 * Math.max(newest?.seconds ?? 0, STEP_SECONDS / 2);
    return look(totals, newest && time - newest.at <= patience ? newest : null);
  });
}

/** The totals of the window that ends with the newest frame, and that frame. */
export function latest(frames, choice) {
  const newest = frames.at(-1) ?? null;
  const totals = new Totals(choice);
  for (const frame of frames) if (frame.at > (newest?.at ?? 0) - choice.window) totals.add(frame);
  return { totals, newest };
}
