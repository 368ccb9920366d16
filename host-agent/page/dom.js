// Small helpers that change what has changed and leave the rest alone, so that focus, selection and
// what a screen reader is at survive each second.

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children. Text is never read as HTML. */
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setClass(node, name, on) {
  node.classList.toggle(name, on);
}

/** Shows text in a paragraph, or hides it where there is none. */
export function say(node, text) {
  setText(node, text ?? "");
  node.hidden = !text;
}

/**
 * Makes a table's body show `items`. `key` names a row, so that a row keeps its element; `cells` gives
 * the texts of a row, the first of which is its header. A cell can be `{ text, state }`.
 */
export function fill(table, items, key, cells) {
  const body = table.tBodies[0];
  const old = new Map(Array.from(body.rows, (row) => [row.dataset.key, row]));
  const numeric = Array.from(table.tHead.rows[table.tHead.rows.length - 1].cells, isNumeric);
  const lead = table.tHead.rows.length > 1 ? Array.from(table.tHead.rows[0].cells).filter((cell) => cell.rowSpan > 1).map(isNumeric) : [];
  const right = [...lead, ...numeric];
  items.forEach((item, place) => {
    const name = key(item);
    const row = old.get(name) ?? make("tr", { "data-key": name });
    old.delete(name);
    if (body.rows[place] !== row) body.insertBefore(row, body.rows[place] ?? null);
    cells(item).forEach((content, column) => {
      const { text, state = "" } = typeof content === "string" ? { text: content } : content;
      const cell = row.cells[column] ?? row.appendChild(column ? make("td") : make("th", { scope: "row" }));
      setText(cell, text);
      const classes = [right[column] ? "n" : "", state].filter(Boolean).join(" ");
      if (cell.className !== classes) cell.className = classes;
    });
  });
  old.forEach((row) => row.remove());
}

const isNumeric = (cell) => cell.classList.contains("n");
