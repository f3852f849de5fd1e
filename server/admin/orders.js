// The newest orders, with what an operator can do about each.

import { cancel, refund, restock, settle } from "./actions.js";
import { get, list, query } from "./api.js";
import { button, byId, data, make, setAttribute, setData, setText, sync } from "./dom.js";
import { count, moment, money, remaining, serverNow, words } from "./format.js";

const SHOWN_MAX = 40;
/** Where the newest orders are looked for until an event names one: ever further back. */
const SPANS = [60, 3600, 86400].map((seconds) => seconds * 1000);

/** The buttons of an order by what it is. */
const BUTTONS = [
  ["Cancel", "Cancel order", cancel, (order) => order.status === "pending_payment"],
  ["Settle refund", "Settle refund of order", settle, (order) => order.payment_disposition === "needs_refund"],
  ["Refund", "Refund order", refund, (order) => ["paid", "partially_refunded"].includes(order.status)],
  ["Restock", "Restock returned units of order", restock, (order) => order.lines.some((line) => line.returned > 0)],
];

/** Creates a row of an order. */
export function createOrder() {
  const parts = {
    id: make("b", { class: "id" }),
    status: make("span", { class: "status" }),
    disposition: make("span", { class: "tag", hidden: true }),
    amount: make("b", { class: "amount" }),
    what: data("", { class: "name" }),
    about: data("", { class: "about" }),
  };
  const buttons = BUTTONS.map(([text, , act]) => button(text, "", () => act(row.order), { class: "small" }));
  const row = make(
    "li",
    {},
    make(
      "div",
      { class: "line" },
      make("div", { class: "grow" }, make("div", { class: "title" }, parts.id, parts.status, parts.disposition, parts.amount), make("div", {}, parts.what), parts.about),
      make("div", { class: "acts" }, ...buttons),
    ),
  );
  row.parts = { ...parts, buttons };
  return row;
}

/** Shows an order in its row. */
export function updateOrder(row, order) {
  row.order = order;
  row.dataset.order = order.id;
  const { id, status, disposition, amount, what, about, buttons } = row.parts;
  setText(id, `Order ${order.id}`);
  setText(status, words(order.status));
  setAttribute(status, "data-status", order.status);
  const isPlain = order.payment_disposition === "none";
  disposition.hidden = isPlain;
  setText(disposition, isPlain ? "" : words(order.payment_disposition));
  setText(amount, money(order.amount, order.currency));
  const lines = order.lines.map((line) => `${line.sku ?? `product ${line.product_id}`} × ${line.qty}`);
  setData(what, lines.slice(0, 4).join(", ") + (lines.length > 4 ? ` and ${lines.length - 4} more` : ""));
  const told = [order.reference, order.customer, moment(order.created_at)];
  if (Number(order.refunded_amount) > 0) told.push(`${money(order.refunded_amount, order.currency)} refunded`);
  if (order.status === "pending_payment" && order.pay_until) told.push(`to pay within ${remaining(Date.parse(order.pay_until) - serverNow())}`);
  setData(about, told.filter(Boolean).join(" · "));
  BUTTONS.forEach(([, label, , isFor], at) => {
    buttons[at].hidden = !isFor(order);
    setAttribute(buttons[at], "aria-label", `${label} ${order.id}`);
  });
}

let newest = 0;

/** Takes note of an order that an event names. */
export function note(id) {
  newest = Math.max(newest, id ?? 0);
}

/** Reads the newest orders again. */
export async function load() {
  let orders = [];
  if (newest > 0) {
    const after = Math.max(0, newest - SHOWN_MAX * 2);
    orders = (await list("api/admin/orders", { after }, 1000, 1)).items;
  }
  for (const span of orders.length > 0 ? [] : [...SPANS, undefined]) {
    const created = span && new Date(serverNow() - span).toISOString();
    orders = (await list("api/admin/orders", { created_after: created }, 1000)).items;
    if (orders.length >= SHOWN_MAX) break;
  }
  note(orders.at(-1)?.id);
  orders = orders.slice(-SHOWN_MAX).reverse();
  sync(byId("orders").firstElementChild, orders, (order) => order.id, createOrder, updateOrder);
  setText(byId("orders-note"), orders.length < SHOWN_MAX ? count(orders.length, "order") : `the newest ${orders.length}`);
  byId("orders").lastElementChild.hidden = orders.length > 0;
}

/** Returns an order as it stands now. */
export const read = async (id) => (await get(query(`api/orders/${id}`, {}))).order;

/** Builds the list. */
export function start() {
  byId("orders").append(make("ul", { class: "list" }), make("p", { class: "empty" }, "There are no orders yet."));
}
