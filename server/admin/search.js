// Finds products by SKU, and holds and orders by SKU, customer or reference, on the server.

import { get, list, query } from "./api.js";
import { byId, data, make, setText, sync } from "./dom.js";
import { createHold, updateHold } from "./holds.js";
import { createOrder, updateOrder } from "./orders.js";
import { createHeader, createRow, updateRow } from "./products.js";

const SHOWN_MAX = 50;
const PAGES = 6;

let last;

async function productOf(sku) {
  try {
    return [await get(`api/products/sku:${encodeURIComponent(sku)}`)];
  } catch (error) {
    if (error.status === 404) return [];
    throw error;
  }
}

async function find({ by, text }) {
  const nothing = { items: [] };
  const [products, holds, orders] = await Promise.all([
    by === "sku" ? productOf(text) : [],
    by === "reference" ? nothing : list("api/admin/holds", { [by]: text }, SHOWN_MAX, PAGES),
    list("api/admin/orders", { [by]: text }, SHOWN_MAX, PAGES),
  ]);
  return { products, holds, orders };
}

function group(title, found, create, update) {
  const items = Array.isArray(found) ? found : found.items.slice(0, SHOWN_MAX);
  if (items.length === 0) return undefined;
  const rows = make("ul", { class: "list" });
  sync(rows, items, (item) => item.id, create, update);
  const isMore = !Array.isArray(found) && (found.next !== undefined || found.items.length > SHOWN_MAX);
  return make("section", {}, make("h3", {}, title), rows, isMore ? make("p", { class: "empty" }, "There are more. Only the first are shown.") : undefined);
}

const createProduct = () => make("li", { class: "found" }, createRow());
const updateProduct = (row, product) => updateRow(row.firstElementChild, product);

function show({ products, holds, orders }, asked) {
  const groups = [
    group("Products", products, createProduct, updateProduct),
    group("Holds", holds, createHold, updateHold),
    group("Orders", orders, createOrder, updateOrder),
  ].filter(Boolean);
  if (products.length > 0) groups[0].insertBefore(createHeader(), groups[0].lastElementChild);
  byId("results-title").replaceChildren("Results for ", data(asked.text));
  const none = make("p", { class: "empty" }, `Nothing has this ${asked.by === "sku" ? "SKU" : asked.by}. The whole text must be given.`);
  byId("results-body").replaceChildren(...(groups.length > 0 ? groups : [none]));
}

async function search(event) {
  event.preventDefault();
  const asked = { by: byId("search-by").value, text: byId("search-text").value.trim() };
  if (asked.text === "") return;
  last = asked;
  byId("results").hidden = false;
  setText(byId("results-title"), "Searching");
  try {
    const found = await find(asked);
    if (last === asked) show(found, asked);
  } catch (error) {
    setText(byId("results-title"), "The search failed");
    byId("results-body").replaceChildren(make("p", { class: "error" }, error.message));
  }
  byId("results-title").focus();
}

/** Searches again for what is shown. */
export async function refresh() {
  const asked = last;
  if (!asked || byId("results").hidden) return;
  const found = await find(asked);
  if (last === asked) show(found, asked);
}

/** Connects the form. */
export function start() {
  byId("search").addEventListener("submit", search);
  byId("results-close").addEventListener("click", () => {
    byId("results").hidden = true;
    last = undefined;
    byId("search-text").focus();
  });
}
