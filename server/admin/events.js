// The newest events.

import { byId, data, make, setAttribute, setData, setText } from "./dom.js";
import { compact, count, time } from "./format.js";

const SHOWN_MAX = 100;

let events = [];
let waiting = [];
let isPaused = false;
const rows = [];

function createRow() {
  const parts = { at: make("time"), kind: make("span", { class: "kind" }), what: data("", { class: "what" }), quantity: make("b"), about: data("", { class: "about" }) };
  const row = make("li", {}, parts.at, parts.kind, parts.what, parts.quantity, parts.about);
  row.parts = parts;
  return row;
}

const signed = (quantity) => (quantity === 0 ? "" : quantity > 0 ? `×${quantity}` : `−${-quantity}`);

function about(event) {
  const told = [];
  if (event.order_id !== undefined) told.push(`order ${event.order_id}`);
  else if (event.hold_id !== undefined) told.push(`hold ${event.hold_id}`);
  if (event.reference !== undefined) told.push(event.reference);
  if (event.customer !== undefined) told.push(event.customer);
  if (event.reason !== undefined) told.push(`“${event.reason}”`);
  if (event.actor !== undefined) told.push(`by ${event.actor}`);
  return told.join(" · ");
}

function update(row, event) {
  if (row.event === event) return;
  row.event = event;
  const { at, kind, what, quantity, about: more } = row.parts;
  setText(at, time(event.at));
  setAttribute(at, "datetime", event.at);
  setText(kind, event.type);
  setAttribute(kind, "data-kind", event.type.split(".")[0]);
  setData(what, event.sku ?? (event.product_id === undefined ? "" : `product ${event.product_id}`));
  setText(quantity, signed(event.qty));
  setData(more, about(event));
}

function render() {
  const parent = byId("events").firstElementChild;
  while (rows.length < events.length) {
    rows.push(createRow());
    parent.append(rows.at(-1));
  }
  while (rows.length > events.length) rows.pop().remove();
  events.forEach((event, at) => update(rows[at], event));
}

/** Takes new events, the newest last; all of a new stream. */
export function add(more, isNew = false) {
  const last = isNew ? 0 : Math.max(events[0]?.cursor ?? 0, waiting[0]?.cursor ?? 0);
  const fresh = more.filter((event) => event.cursor > last).reverse();
  if (isPaused && !isNew) {
    waiting = fresh.concat(waiting).slice(0, SHOWN_MAX);
    return;
  }
  if (fresh.length === 0 && !isNew) return;
  events = (isNew ? fresh : fresh.concat(events)).slice(0, SHOWN_MAX);
  render();
}

/** Shows how many events there are each second. */
export function rate(perSecond) {
  const more = isPaused && waiting.length > 0 ? `, ${count(waiting.length, "newer event")}` : "";
  setText(byId("events-note"), `${compact(perSecond)} per second${more}`);
}

/** Builds the list. */
export function start() {
  byId("events").append(make("ol", { class: "events" }));
  byId("events-pause").addEventListener("click", (click) => {
    isPaused = !isPaused;
    click.target.setAttribute("aria-pressed", String(isPaused));
    setText(click.target, isPaused ? "Go on" : "Pause");
    if (isPaused) return;
    events = waiting.concat(events).slice(0, SHOWN_MAX);
    waiting = [];
    render();
  });
}
