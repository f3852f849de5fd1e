// The products as bars. All ids are known, and only the visible rows are in the document:
// they alone are read again when they change.

import { adjust } from "./actions.js";
import { get, query } from "./api.js";
import { button, byId, make, setAttribute, setData, setText } from "./dom.js";
import { number } from "./format.js";

/** The places of units, in the order of the bar. */
export const PLACES = [
  ["stock", "In stock"],
  ["held", "Held"],
  ["pending", "Pending"],
  ["sold", "Sold"],
  ["returned", "Returned"],
];

const PAGE = 1000;
/** The most products that are listed; the search finds all. */
const LOADED_MAX = 20000;
const OVERSCAN = 4;

/** Creates a row of a product. `role` is that of its cells. */
export function createRow(role) {
  const cell = (attributes, ...children) => make("div", { role, ...attributes }, ...children);
  const row = make("div", { class: "product" });
  const name = make("bdi", { class: "data name" });
  const sku = make("bdi", { class: "data sku" });
  const tag = make("span", { class: "tag", hidden: true });
  const segments = [...PLACES, ["safety", "Safety stock"]].map(([place]) => make("i", { class: `segment ${place}` }));
  const bar = make("div", { class: "bar", role: "img" }, ...segments);
  const cells = PLACES.map(([place, label]) =>
    cell({ class: "units", "data-field": place }, make("span", { class: `key ${place}` }), make("span", { class: "unit-label" }, label), make("b")),
  );
  const act = button("Adjust", "Adjust stock", () => adjust(row.product), { class: "small" });
  row.append(
    cell({ class: "names" }, name, make("div", { class: "title" }, sku, tag)),
    cell({ class: "bar-cell" }, bar),
    ...cells,
    cell({ class: "act" }, act),
  );
  row.parts = { name, sku, tag, bar, segments, cells, act };
  return row;
}

/** Shows a product in its row. */
export function updateRow(row, product) {
  const { name, sku, tag, bar, segments, cells, act } = row.parts;
  if (row.product === product) return;
  row.product = product;
  row.dataset.product = product.id;
  setData(name, product.name || "Without a name");
  setData(sku, product.sku ?? `#${product.id}`);
  const state = product.archived ? "archived" : product.stock === 0 ? "sold out" : "";
  tag.hidden = state === "";
  setText(tag, state);
  setAttribute(tag, "data-state", state);
  const safety = product.in_stock - product.stock;
  const amounts = [...PLACES.map(([place]) => product[place]), safety];
  const all = amounts.reduce((sum, amount) => sum + amount, 0);
  segments.forEach((segment, at) => {
    segment.style.flexGrow = all > 0 ? String(amounts[at] / all) : "0";
    segment.hidden = amounts[at] === 0;
  });
  const told = PLACES.map(([place, label]) => `${number(product[place])} ${label.toLowerCase()}`);
  if (safety > 0) told.push(`${number(safety)} kept as safety stock`);
  setAttribute(bar, "aria-label", told.join(", "));
  PLACES.forEach(([place], at) => {
    setText(cells[at].lastChild, number(product[place]));
    cells[at].classList.toggle("none", product[place] === 0);
  });
  setAttribute(act, "aria-label", `Adjust stock of ${product.name || product.sku || `product ${product.id}`}`);
}

/** Creates the row of headers, which is the legend as well. */
export function createHeader(role) {
  const header = (...children) => make("div", role ? { role: "columnheader" } : {}, ...children);
  return make(
    "div",
    { class: "product header", role },
    header("Product"),
    header("Units"),
    ...PLACES.map(([place, label]) => header(make("span", { class: `key ${place}` }), label)),
    header(make("span", { class: "hidden" }, "Action")),
  );
}

let ids = [];
const products = new Map();
const rows = new Map();
let isComplete = false;
let loading;
let isStale = false;
let refreshing = false;
let body;
/** That of the style sheet for this width. */
let rowHeight = 60;

const list = () => byId("products");
const visible = () => {
  const from = Math.max(0, Math.floor((list().scrollTop - body.offsetTop) / rowHeight) - OVERSCAN);
  const until = Math.min(ids.length, Math.ceil((list().scrollTop + list().clientHeight) / rowHeight) + OVERSCAN);
  return [Math.min(from, until), until];
};

function store(items) {
  let last = ids.at(-1) ?? 0;
  let isMixed = false;
  for (const product of items) {
    if (!products.has(product.id)) {
      isMixed ||= product.id < last;
      last = Math.max(last, product.id);
      ids.push(product.id);
    }
    products.set(product.id, product);
  }
  if (isMixed) ids.sort((a, b) => a - b);
}

/** Reads the products after the last one that is known. */
async function loadRest() {
  for (;;) {
    const page = await get(query("api/products", { after: ids.at(-1), limit: PAGE }));
    store(page.items);
    isComplete = page.next === null || page.next === undefined;
    render();
    if (isComplete || ids.length >= LOADED_MAX) return;
  }
}

/** Begins anew. */
export async function load() {
  ids = [];
  products.clear();
  isComplete = false;
  loading ??= loadRest().finally(() => {
    loading = undefined;
  });
  await loading;
}

/** Reads the visible rows again: one read of neighbours by id. */
async function refresh() {
  if (refreshing || !isStale || ids.length === 0) return;
  refreshing = true;
  isStale = false;
  const [from, until] = visible();
  try {
    const page = await get(query("api/products", { after: from > 0 ? ids[from - 1] : undefined, limit: Math.max(1, until - from) }));
    store(page.items);
    render();
  } catch {
    isStale = true;
  } finally {
    refreshing = false;
  }
}

/** Takes note of what a frame says has changed. */
export function note({ changed, changed_more: more }) {
  const [from, until] = visible();
  const shown = new Set(ids.slice(from, until));
  const isNew = changed.some((id) => !products.has(id));
  if (isComplete && isNew && !loading) {
    isComplete = false;
    loading = loadRest()
      .catch(() => {})
      .finally(() => {
        isComplete = true;
        loading = undefined;
      });
  }
  isStale ||= more || changed.some((id) => shown.has(id));
  refresh();
}

/** Reads the visible rows again whatever changed. */
export function refreshAll() {
  isStale = true;
  refresh();
}

function render() {
  const [from, until] = visible();
  body.style.height = `${ids.length * rowHeight}px`;
  setAttribute(list(), "aria-rowcount", String(ids.length + 1));
  const wanted = new Set(ids.slice(from, until));
  for (const [id, row] of rows) {
    // The row with the focus stays, also out of sight.
    if (wanted.has(id) || row.contains(document.activeElement)) continue;
    row.remove();
    rows.delete(id);
  }
  let before = body.firstElementChild;
  for (let at = from; at < until; at += 1) {
    const id = ids[at];
    let row = rows.get(id);
    if (!row) {
      row = createRow("cell");
      row.setAttribute("role", "row");
      rows.set(id, row);
    }
    updateRow(row, products.get(id));
    setAttribute(row, "aria-rowindex", String(at + 2));
    row.style.transform = `translateY(${at * rowHeight}px)`;
    if (row === before) before = before.nextElementSibling;
    else body.insertBefore(row, before);
  }
  const note_ = isComplete ? `${number(ids.length)} listed` : ids.length >= LOADED_MAX ? `the first ${number(ids.length)}; search finds the others` : `${number(ids.length)} so far`;
  setText(byId("products-note"), note_);
}

/** Builds the list. */
export function start() {
  body = make("div", { class: "rows", role: "rowgroup" });
  list().append(make("div", { role: "rowgroup", class: "header-group" }, createHeader("row")), body);
  let isQueued = false;
  const queue = () => {
    if (isQueued) return;
    isQueued = true;
    requestAnimationFrame(() => {
      isQueued = false;
      render();
    });
  };
  let settle;
  list().addEventListener("scroll", () => {
    queue();
    clearTimeout(settle);
    settle = setTimeout(refreshAll, 120);
  });
  new ResizeObserver(() => {
    rowHeight = Number.parseFloat(getComputedStyle(body).getPropertyValue("--row")) || rowHeight;
    queue();
  }).observe(list());
}
