// Starts the page: follows the stream, and reads again what it says has changed.

import * as actions from "./actions.js";
import { key, locked, setKey } from "./api.js";
import * as attention from "./attention.js";
import { byId, setAttribute, setText } from "./dom.js";
import * as events from "./events.js";
import { setServerTime } from "./format.js";
import * as holds from "./holds.js";
import * as orders from "./orders.js";
import * as plots from "./plots.js";
import * as products from "./products.js";
import * as search from "./search.js";
import * as state from "./state.js";
import { follow } from "./stream.js";

/** A hidden page stops following after this time, and costs the server nothing. */
const HIDDEN_MAX = 60000;
const LINKS = { live: "Live", wait: "Connecting", refused: "Locked" };

let unfollow;
let hiddenSince;

/** Reads a list again when it is due: one read at a time, and not too often. */
class Reader {
  constructor(load, period) {
    Object.assign(this, { load, period, isDue: false, isBusy: false, next: 0 });
  }

  due() {
    this.isDue = true;
    this.run();
  }

  async run() {
    if (!this.isDue || this.isBusy || Date.now() < this.next) return;
    this.isDue = false;
    this.isBusy = true;
    try {
      await this.load();
      notice("");
    } catch (error) {
      notice(error.message);
      this.isDue = true;
    } finally {
      this.isBusy = false;
      this.next = Date.now() + this.period;
    }
  }
}

const readers = {
  holds: new Reader(holds.load, 1000),
  orders: new Reader(orders.load, 1000),
  attention: new Reader(attention.load, 2000),
};
const readAll = () => Object.values(readers).forEach((reader) => reader.due());

function notice(text) {
  setText(byId("notice"), text);
  byId("notice").hidden = text === "";
}

function link(name) {
  setAttribute(byId("link"), "data-state", name);
  setText(byId("link-text"), LINKS[name]);
  state.interrupt(name !== "live");
}

function hello(server) {
  setServerTime(server.now_ms);
  state.greet(server);
  plots.add(server.history, true);
  events.add(server.events, true);
  byId("lock").hidden = !key();
  notice("");
  products.load().catch((error) => notice(error.message));
  readAll();
}

function frame(news) {
  setServerTime(news.now_ms);
  if (news.sample) {
    plots.add([news.sample]);
    events.rate(news.sample.events);
  }
  state.update(news.state);
  events.add(news.events);
  products.note(news);
  orders.note(news.newest_order);
  const { families } = news;
  if (families.holds + families.orders > 0 || news.changed_more) readers.holds.due();
  if (families.orders + families.payments > 0 || news.changed_more) {
    readers.orders.due();
    readers.attention.due();
  }
  // What waited for its time.
  Object.values(readers).forEach((reader) => reader.run());
}

function connect() {
  unfollow?.();
  unfollow = follow({
    hello,
    frame,
    state(name, error) {
      link(name);
      if (name === "refused") askForKey(error);
      else if (error) notice(error.message);
    },
  });
}

function askForKey(error) {
  unfollow?.();
  link("refused");
  byId("lock").hidden = true;
  const dialog = byId("key-dialog");
  setText(byId("key-error"), key() || error.status === 403 ? error.message : "");
  setKey(undefined);
  if (!dialog.open) dialog.showModal();
}

function useKey(event) {
  event.preventDefault();
  const input = byId("key-input");
  // A header takes no other characters.
  if (!/^[\x21-\x7e]+$/.test(input.value)) {
    setText(byId("key-error"), "A key has no spaces, and only letters, digits and signs of ASCII.");
    return;
  }
  setKey(input.value);
  input.value = "";
  byId("key-dialog").close();
  connect();
}

function watchVisibility() {
  if (document.hidden) {
    hiddenSince = setTimeout(() => {
      unfollow?.();
      unfollow = undefined;
    }, HIDDEN_MAX);
    return;
  }
  clearTimeout(hiddenSince);
  if (!unfollow) connect();
}

for (const part of [actions, plots, products, holds, orders, attention, events, search]) part.start();
locked.listener = askForKey;
actions.acted.listener = () => {
  products.refreshAll();
  readAll();
  search.refresh().catch((error) => notice(error.message));
};
byId("key-form").addEventListener("submit", useKey);
// Without a key there is nothing to see: the dialog stays.
byId("key-dialog").addEventListener("cancel", (event) => event.preventDefault());
byId("lock").addEventListener("click", () => {
  setKey(undefined);
  // Nothing of the shop stays on the page.
  location.reload();
});
document.addEventListener("visibilitychange", watchVisibility);
// Payments that wait end by themselves.
setInterval(() => {
  if (unfollow && !document.hidden) readAll();
}, 15000);
connect();
