// What a person must look at: refunds owed, wrong amounts, payments that came late or
// wait for their order.

import { dismiss } from "./actions.js";
import { list } from "./api.js";
import { button, byId, data, make, setAttribute, setData, setText, sync } from "./dom.js";
import { count, moment, money, words } from "./format.js";
import { createOrder, updateOrder } from "./orders.js";

const SHOWN_MAX = 20;

const GROUPS = [
  { title: "Refunds owed", disposition: "needs_refund", isUrgent: true },
  { title: "Wrong amounts paid", disposition: "amount_mismatch", isUrgent: true },
  { title: "Payments that wait for their order", isUrgent: true },
  { title: "Late payments that were honoured", disposition: "re_reserved", isUrgent: false },
];

function createWaiting() {
  const parts = { what: data("", { class: "name" }), amount: make("b", { class: "amount" }), about: data("", { class: "about" }) };
  const act = button("Remove", "", () => dismiss(row.payment), { class: "small" });
  const row = make(
    "li",
    {},
    make("div", { class: "line" }, make("div", { class: "grow" }, make("div", { class: "title" }, parts.what, parts.amount), parts.about), act),
  );
  row.parts = { ...parts, act };
  return row;
}

function updateWaiting(row, payment) {
  row.payment = payment;
  row.dataset.payment = payment.key;
  const { what, amount, about, act } = row.parts;
  const name = payment.order_id === undefined ? (payment.reference ?? payment.payment_reference ?? "an order") : `order ${payment.order_id}`;
  setData(what, `${words(payment.outcome)} for ${name}`);
  setText(amount, payment.amount === undefined ? "" : money(payment.amount, payment.currency));
  setData(about, `${payment.key} · came ${moment(payment.received_at)}, waits until ${moment(payment.ends_at)}`);
  setAttribute(act, "aria-label", `Remove the waiting payment for ${name}`);
}

/** Reads all groups again. */
export async function load() {
  let urgent = 0;
  let all = 0;
  for (const group of GROUPS) {
    const path = group.disposition ? "api/admin/orders" : "api/admin/payments/waiting";
    const found = await list(path, { disposition: group.disposition }, SHOWN_MAX, 2);
    const items = found.items.slice(0, SHOWN_MAX);
    const isMore = found.next !== undefined || found.items.length > SHOWN_MAX;
    if (group.disposition) sync(group.list, items, (order) => order.id, createOrder, updateOrder);
    else sync(group.list, items, (payment) => payment.key, createWaiting, updateWaiting);
    group.section.hidden = items.length === 0;
    setText(group.count, `${items.length}${isMore ? "+" : ""}`);
    all += items.length;
    if (group.isUrgent) urgent += items.length;
  }
  setText(byId("attention-note"), urgent > 0 ? count(urgent, "case") : "");
  byId("attention").lastElementChild.hidden = all > 0;
}

/** Builds the groups. */
export function start() {
  for (const group of GROUPS) {
    group.list = make("ul", { class: "list" });
    group.count = make("span", { class: group.isUrgent ? "badge urgent" : "badge" });
    group.section = make("section", { hidden: true }, make("h3", {}, `${group.title} `, group.count), group.list);
    byId("attention").append(group.section);
  }
  byId("attention").append(make("p", { class: "empty" }, "No refund is owed, and no payment waits."));
}
