// What the buttons do: each asks in a dialog, sends one command and shows the answer.

import { call, drawKey, Unreachable } from "./api.js";
import { byId, make, setText } from "./dom.js";
import { count, money } from "./format.js";

/** Called after a command that succeeded. */
export const acted = { listener: () => {} };

let toastEnd;
/** Shows the result of a command for a while; screen readers are told. */
export function announce(text) {
  const toast = byId("result");
  setText(toast, text);
  toast.classList.add("shown");
  clearTimeout(toastEnd);
  toastEnd = setTimeout(() => {
    toast.classList.remove("shown");
    setText(toast, "");
  }, 8000);
}

let current;

/**
 * Asks before a command. `fields` are `{name, label, type, value, hint, ...}`; `run` is
 * given their values and a function that sends a command, and returns what was done.
 */
function ask({ title, text, fields = [], confirm, danger = false, run }) {
  const inputs = new Map();
  const shown = fields.map(({ name, label, hint, ...attributes }) => {
    const id = `field-${name}`;
    const input = make("input", { id, autocomplete: "off", ...attributes });
    const about = hint ? make("small", { id: `${id}-hint` }, hint) : undefined;
    if (about) input.setAttribute("aria-describedby", about.id);
    inputs.set(name, input);
    const name_ = make("label", { for: id }, label);
    const isBox = attributes.type === "checkbox";
    return make("div", { class: isBox ? "field box" : "field" }, ...(isBox ? [input, name_] : [name_, input]), about);
  });
  setText(byId("dialog-title"), title);
  setText(byId("dialog-text"), text);
  byId("dialog-fields").replaceChildren(...shown);
  setText(byId("dialog-error"), "");
  const button = byId("dialog-confirm");
  setText(button, confirm);
  button.classList.toggle("danger", danger);
  button.disabled = false;
  current = { inputs, run, sent: undefined };
  byId("dialog").showModal();
  const first = fields.length > 0 ? inputs.values().next().value : danger ? byId("dialog-cancel") : button;
  first.focus();
}

/**
 * Sends a command with an idempotency key. One whose answer did not come is sent again
 * with the same key, so that it is done once.
 */
async function command(state, method, path, body) {
  const fingerprint = JSON.stringify([method, path, body]);
  if (state.sent?.fingerprint !== fingerprint) state.sent = { fingerprint, key: drawKey() };
  try {
    const answer = await call(method, path, body, { "idempotency-key": state.sent.key });
    state.sent = undefined;
    return answer;
  } catch (error) {
    if (!(error instanceof Unreachable)) state.sent = undefined;
    throw error;
  }
}

async function submit(event) {
  event.preventDefault();
  const state = current;
  const button = byId("dialog-confirm");
  if (!state || button.disabled) return;
  const values = {};
  for (const [name, input] of state.inputs) {
    values[name] = input.type === "checkbox" ? input.checked : input.value.trim();
  }
  button.disabled = true;
  setText(byId("dialog-error"), "");
  try {
    const done = await state.run(values, (...request) => command(state, ...request));
    byId("dialog").close();
    announce(done);
    acted.listener();
  } catch (error) {
    setText(byId("dialog-error"), error.message);
  } finally {
    button.disabled = false;
  }
}

/** Connects the dialog's own buttons. */
export function start() {
  byId("dialog-form").addEventListener("submit", submit);
  byId("dialog-cancel").addEventListener("click", () => byId("dialog").close());
  byId("dialog").addEventListener("close", () => {
    current = undefined;
  });
}

const reasonField = { name: "reason", label: "Reason", type: "text", maxlength: 255, hint: "Optional; it is in the event." };
const orNothing = (text) => (text === "" ? undefined : text);
const named = (product) => product.name || product.sku || `product ${product.id}`;

/** Receives or writes off goods. */
export function adjust(product) {
  ask({
    title: "Adjust stock",
    text: `${named(product)} has ${count(product.in_stock, "unit")} in stock.`,
    confirm: "Adjust stock",
    fields: [
      { name: "delta", label: "Units to add", type: "number", step: 1, value: 1, required: true, hint: "A negative number writes units off." },
      { ...reasonField, value: "restock", required: true, hint: "It is in the event." },
    ],
    async run({ delta, reason }, send) {
      const after = await send("POST", `api/admin/products/${product.id}/adjust`, { delta: Number(delta), reason });
      return `${named(product)} now has ${count(after.in_stock, "unit")} in stock.`;
    },
  });
}

/** Returns a hold's units to stock. */
export function release(hold) {
  ask({
    title: `Release hold ${hold.id}?`,
    text: `Its ${count(hold.qty, "unit")} of ${hold.sku ?? `product ${hold.product_id}`} can be held by others at once. The customer can no longer order them by this hold.`,
    confirm: "Release the hold",
    danger: true,
    async run(_, send) {
      const { hold: after } = await send("DELETE", `api/holds/${hold.id}`);
      return after.status === "released" ? `Hold ${hold.id} is released.` : `Hold ${hold.id} is ${after.status} already.`;
    },
  });
}

/** Cancels a pending order for good. */
export function cancel(order) {
  ask({
    title: `Cancel order ${order.id}?`,
    text: "Its units return to stock. Money that still comes for it must be refunded.",
    confirm: "Cancel the order",
    danger: true,
    fields: [reasonField],
    async run({ reason }, send) {
      await send("POST", `api/orders/${order.id}/cancel`, { reason: orNothing(reason) });
      return `Order ${order.id} is cancelled.`;
    },
  });
}

/** Books a refund of a paid order. */
export function refund(order) {
  ask({
    title: `Refund order ${order.id}?`,
    text: `${money(order.amount, order.currency)} was paid and ${money(order.refunded_amount, order.currency)} refunded. This books the refund; the payment provider pays it.`,
    confirm: "Refund the order",
    danger: true,
    fields: [
      { name: "amount", label: `Amount in ${order.currency}`, type: "text", inputmode: "decimal", hint: "Empty for all that is left, units included. An amount alone moves no unit." },
      { name: "restock", label: "Return all units to stock", type: "checkbox" },
      reasonField,
    ],
    async run({ amount, restock, reason }, send) {
      const body = { amount: orNothing(amount), restock: restock || undefined, reason: orNothing(reason) };
      const { order: after } = await send("POST", `api/orders/${order.id}/refund`, body);
      return `Order ${order.id}: ${money(after.refunded_amount, after.currency)} of ${money(after.amount, after.currency)} is refunded.`;
    },
  });
}

/** Marks owed money as given back. */
export function settle(order) {
  ask({
    title: `Settle the refund of order ${order.id}?`,
    text: "Confirm that the money which must be refunded was given back. No unit moves.",
    confirm: "Settle the refund",
    danger: true,
    fields: [reasonField],
    async run({ reason }, send) {
      await send("POST", `api/orders/${order.id}/refund`, { owed: true, reason: orNothing(reason) });
      return `The refund of order ${order.id} is settled.`;
    },
  });
}

/** Sells returned units again. */
export function restock(order) {
  const units = order.lines.reduce((sum, line) => sum + line.returned, 0);
  ask({
    title: `Restock order ${order.id}?`,
    text: `${count(units, "returned unit")} can be sold again at once.`,
    confirm: "Restock the units",
    async run(_, send) {
      await send("POST", `api/orders/${order.id}/restock`, {});
      return `${count(units, "unit")} of order ${order.id} ${units === 1 ? "is" : "are"} back in stock.`;
    },
  });
}

/** Takes a payment event from those that wait for their order. */
export function dismiss(payment) {
  ask({
    title: "Remove the waiting payment?",
    text: "It stays recorded and is never applied to an order. If money came, refund it at the payment provider.",
    confirm: "Remove the payment",
    danger: true,
    async run(_, send) {
      await send("DELETE", `api/admin/payments/waiting/${encodeURIComponent(payment.key)}`);
      return "The waiting payment is removed.";
    },
  });
}
