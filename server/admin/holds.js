// Active holds, counting down by the server's clock.

import { release } from "./actions.js";
import { list } from "./api.js";
import { button, byId, data, make, setAttribute, setData, setText, sync } from "./dom.js";
import { count, remaining, serverNow, words } from "./format.js";

const SHOWN_MAX = 50;
/** More than are shown: some are due before the next read. */
const READ_MAX = 150;
const SOON = 15000;
/** The longest life of a hold. */
const LIFE_MAX = 24 * 3600 * 1000;
/** How long a place in the list is kept, before which no hold was active. */
const PLACE_LIFE = 60000;

const clocks = new Set();
let place;
let active = [];
let isMore = false;

/** Creates a row of a hold. */
export function createHold() {
  const parts = {
    left: make("b", { class: "left" }),
    what: data("", { class: "name" }),
    quantity: make("span", { class: "quantity" }),
    about: data("", { class: "about" }),
    track: make("i", { class: "track" }, make("i")),
  };
  const act = button("Release", "", () => release(row.hold), { class: "small" });
  const row = make(
    "li",
    {},
    make("div", { class: "line" }, parts.left, make("div", { class: "grow" }, make("div", { class: "title" }, parts.what, parts.quantity), parts.about), act),
    parts.track,
  );
  row.parts = { ...parts, act };
  return row;
}

/** Shows a hold in its row. */
export function updateHold(row, hold) {
  row.hold = hold;
  row.dataset.hold = hold.id;
  const { what, quantity, about, act } = row.parts;
  setData(what, hold.sku ?? `product ${hold.product_id}`);
  setText(quantity, `× ${hold.qty}`);
  setData(about, [`hold ${hold.id}`, hold.cart_id ? `cart ${hold.cart_id}` : "", hold.customer ?? ""].filter(Boolean).join(" · "));
  setAttribute(act, "aria-label", `Release hold ${hold.id}`);
  act.hidden = hold.status !== "active";
  clocks.add(row);
  tick(row);
}

function tick(row) {
  const { left, track } = row.parts;
  const { hold } = row;
  left.classList.toggle("ended", hold.status !== "active");
  if (hold.status !== "active") {
    setText(left, words(hold.status));
    track.hidden = true;
    return;
  }
  const end = Date.parse(hold.expires_at);
  const rest = end - serverNow();
  setText(left, rest > 0 ? remaining(rest) : "due");
  left.classList.toggle("soon", rest < SOON);
  const life = end - Date.parse(hold.created_at ?? hold.expires_at);
  track.hidden = life <= 0;
  track.firstChild.style.transform = `scaleX(${Math.min(1, Math.max(0, rest / life)).toFixed(4)})`;
}

/** Counts down all holds that are shown. */
export function tickAll() {
  for (const row of clocks) {
    if (row.isConnected) tick(row);
    else clocks.delete(row);
  }
}

/** Reads the active holds again. Holds before the first active one have ended for good. */
export async function load() {
  const now = Date.now();
  if (!place || now - place.since > PLACE_LIFE) place = { since: now, after: undefined };
  const created = place.after === undefined ? new Date(serverNow() - LIFE_MAX).toISOString() : undefined;
  const found = await list("api/admin/holds", { status: "active", created_after: created, after: place.after }, READ_MAX);
  const [first] = found.items;
  place.after = first ? first.id - 1 : (found.next ?? place.after);
  active = found.items.sort((a, b) => Date.parse(a.expires_at) - Date.parse(b.expires_at));
  isMore = found.next !== undefined;
  render();
}

/** Shows those that are not due yet. */
function render() {
  const now = serverNow();
  const holds = active.filter((hold) => Date.parse(hold.expires_at) > now);
  const shown = holds.slice(0, SHOWN_MAX);
  sync(byId("holds").firstElementChild, shown, (hold) => hold.id, createHold, updateHold);
  setText(byId("holds-note"), isMore || holds.length > SHOWN_MAX ? `the first ${shown.length}` : count(shown.length, "hold"));
  byId("holds").lastElementChild.hidden = shown.length > 0;
}

/** Builds the list. */
export function start() {
  byId("holds").append(make("ul", { class: "list" }), make("p", { class: "empty" }, "Nothing is held now."));
  setInterval(() => {
    render();
    tickAll();
  }, 500);
}
