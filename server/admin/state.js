// The state of store, lock, cache, sweeper and relay, in words beside the colours.

import { byId, make, setAttribute, setText } from "./dom.js";
import { compact, count, words } from "./format.js";

const STORES = { sqlite: "SQLite, embedded", mysql: "MySQL or MariaDB" };
/** A due hold waits so long for the sweeper without anything being wrong. */
const DUE_LATE = 5;

let server = {};
const parts = new Map();

/** Takes note of what the stream says about the server. */
export function greet(hello) {
  server = hello;
  setText(byId("about"), `Stockade ${hello.version} · ${STORES[hello.store] ?? hello.store}`);
}

function show(name, level, state, detail) {
  let part = parts.get(name);
  if (!part) {
    const [word, about] = [make("span", { class: "word" }), make("span", { class: "about" })];
    const value = make("dd", {}, word, about);
    const row = make("div", { "data-part": name.toLowerCase() }, make("dt", {}, make("span", { class: "dot" }), name), value);
    byId("state").append(row);
    part = { row, word, about };
    parts.set(name, part);
  }
  setAttribute(part.row, "data-level", level);
  setText(part.word, state);
  setText(part.about, detail);
}

const perSecond = (value) => `${compact(value)}/s`;

/** Shows a frame's state. */
export function update(state) {
  const { error, read_ms: read } = state.store;
  if (error) show("Store", "bad", "Unreachable", error);
  else {
    const retried = state.retries > 0 ? `, ${count(state.retries, "retry", "retries")} since the start` : "";
    show("Store", "good", "Reachable", `read in ${compact(read)} ms, ${perSecond(state.transactions)} transactions${retried}`);
  }
  const wait = state.lock_wait_ms === null ? "no wait now" : `wait ${compact(state.lock_wait_ms)} ms`;
  const lost = `${count(state.lock_timeouts, "timeout")}, ${count(state.lock_stale, "stale lease")} since the start`;
  if (!server.redis) show("Lock", "good", "Row locks", `no Redis is configured; ${wait}`);
  else if (state.degraded) show("Lock", "bad", "Degraded", `Redis is unavailable: row locks alone decide; ${lost}`);
  else show("Lock", "good", "Redis and row locks", `${wait}; ${lost}`);
  const hits = state.cache_hits === null ? "no reads now" : `${compact(state.cache_hits * 100)} % of ${perSecond(state.cache_reads)} reads from memory`;
  if (server.redis && state.degraded) show("Cache", "bad", "Degraded", `without invalidations of Redis; ${hits}`);
  else show("Cache", "good", server.redis ? "Redis and memory" : "Memory", hits);
  const due = state.oldest_due_seconds;
  if (due > DUE_LATE) show("Sweeper", "warn", "Behind", `the oldest due hold or order waits ${compact(due)} s`);
  else show("Sweeper", "good", "On time", due > 0 ? `oldest due ${compact(due)} s ago` : "nothing is due");
  relay(state.relay);
  const levels = [...parts.values()].map((part) => part.row.dataset.level);
  const wrong = levels.filter((level) => level !== "good").length;
  setText(byId("state-note"), wrong === 0 ? "all parts work" : `${count(wrong, "part")} degraded`);
}

/** Shows the relay of events where the engine has one. */
function relay(series) {
  const entries = Object.entries(series ?? {});
  if (entries.length === 0) return;
  const value = (name) => series[name] ?? 0;
  const isDown = value("degraded") > 0 || value("failing") > 0 || value("disabled") > 0;
  const told = entries.slice(0, 6).map(([name, amount]) => `${words(name.replace(/_total/, ""))} ${compact(amount)}`);
  show("Relay", isDown ? "bad" : "good", isDown ? "Degraded" : "Delivering", told.join(", "));
}

/** Shows that the stream is interrupted: what was shown is old. */
export function interrupt(isInterrupted) {
  byId("state").classList.toggle("old", isInterrupted);
}
