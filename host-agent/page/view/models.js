// Which models are shown, and in which order.

/** All that had traffic or cost, by name. */
export function byName({ models }) {
  return [...models].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The names of the models with most requests over all that charts show, by name, and how many more there are. */
export function busiest(slide, most) {
  const requests = new Map();
  slide(({ models }) => {
    for (const [name, part] of models) requests.set(name, Math.max(requests.get(name) ?? 0, part.requestCount, part.duration.count));
  });
  const busy = [...requests].filter(([, n]) => n > 0).sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  return { names: busy.slice(0, most).map(([name]) => name).sort(), more: Math.max(0, busy.length - most) };
}
