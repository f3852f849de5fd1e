// What the page shows is what the API says.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, hold, live, open, order, pay, product, startServer, until } from "./harness.js";

after(closeBrowser);

const PLACES = ["stock", "held", "pending", "sold", "returned"];

/** Returns the units of the products that the page shows, by their ids. */
const shown = (page) =>
  page.evaluate((places) => {
    const units = (row, place) => Number(row.querySelector(`[data-field=${place}] b`).textContent.replaceAll(",", ""));
    const rows = [...document.querySelectorAll("#products [data-product]")];
    return Object.fromEntries(rows.map((row) => [row.dataset.product, places.map((place) => units(row, place))]));
  }, PLACES);

async function told(server) {
  const { items } = await server.ok("GET", "/api/products?limit=1000");
  return Object.fromEntries(items.map((item) => [item.id, PLACES.map((place) => item[place])]));
}

const same = (page, server) =>
  until(async () => ({ page: await shown(page), api: await told(server) }), ({ page, api }) => JSON.stringify(page) === JSON.stringify(api), "the page differs from the API");

test("products, holds, orders and events are those of the API, and stay so", async (t) => {
  const server = await startServer(t);
  const lamp = await product(server, "Lamp", 1200, { sku: "LAMP-1", safety_stock: 7 });
  const mug = await product(server, "Mug", 30);
  const page = await open(t, server.url);
  await live(page);
  await same(page, server);
  // While it is open.
  const held = await hold(server, lamp.id, 3, "ada", 300);
  const bought = await order(server, mug.id, 2, { reference: "R-77", customer: "grace" });
  await same(page, server);
  await pay(server, bought.id);
  await server.ok("POST", `/api/orders/${bought.id}/refund`, { lines: [{ line: 1, quantity: 1 }] });
  const added = await product(server, "Chair", 5);
  const units = await same(page, server);
  assert.deepEqual(units.page[lamp.id], [1190, 3, 0, 0, 0]);
  assert.deepEqual(units.page[mug.id], [28, 0, 0, 1, 1]);
  assert.deepEqual(units.page[added.id], [5, 0, 0, 0, 0]);
  const bar = page.locator(`#products [data-product="${lamp.id}"] [role=img]`);
  assert.equal(await bar.getAttribute("aria-label"), "1,190 in stock, 3 held, 0 pending, 0 sold, 0 returned, 7 kept as safety stock");

  const row = page.locator(`#holds [data-hold="${held.id}"]`);
  await row.waitFor();
  const text = await row.innerText();
  assert.match(text, /LAMP-1/);
  assert.match(text, /ada/);
  const seconds = async () => {
    const [minutes, rest] = (await row.locator(".left").innerText()).split(":").map(Number);
    return minutes * 60 + rest;
  };
  const first = await seconds();
  const left = (Date.parse(held.expires_at) - Date.now()) / 1000;
  assert.ok(Math.abs(first - left) < 3, `${first} is shown of ${left}`);
  await until(seconds, (now) => now < first, "the hold does not count down");

  const listed = page.locator(`#orders [data-order="${bought.id}"]`);
  await until(() => listed.innerText(), (text) => text.includes("partially refunded"), "the order's status");
  for (const word of ["R-77", "grace", "€", "39.98"]) assert.ok((await listed.innerText()).includes(word), word);

  const { events } = await server.ok("GET", "/api/admin/events?after=0&limit=1000");
  const kinds = () => page.locator("#events .kind").allInnerTexts();
  const expected = events.map((event) => event.type).reverse();
  await until(kinds, (found) => JSON.stringify(found) === JSON.stringify(expected), `the events are not ${expected}`);
  assert.deepEqual(page.faults, []);
});

test("states and plots are those of the metrics", async (t) => {
  const server = await startServer(t);
  const { id } = await product(server, "Lamp", 2);
  const page = await open(t, server.url);
  await live(page);
  const words = (part) => page.locator(`#state [data-part=${part}] .word`).innerText();
  assert.deepEqual([await words("store"), await words("lock"), await words("cache"), await words("sweeper")], ["Reachable", "Row locks", "Memory", "On time"]);
  assert.equal(await page.locator("#state [data-part=relay]").count(), 0, "this engine has no relay");
  const value = async (series) => page.locator(`[data-series=${series}]`).innerText();
  await until(() => value("holds"), (text) => text === "0", "no holds yet");
  await hold(server, id, 1);
  await until(() => value("holds"), (text) => Number(text) > 0, "holds per second");
  await server.send("POST", `/api/holds/${id}/2`);
  await until(() => value("refusals"), (text) => Number(text) > 0, "refusals per second");
  await hold(server, id, 1);
  await until(() => value("p99_ms"), (text) => text.endsWith(" ms"), "the latency");
  await until(() => value("batch"), (text) => Number(text) >= 1, "the size of batches");
  const label = await page.locator(".plot.holds svg").getAttribute("aria-label");
  assert.match(label, /^Holds: now [\d.]+ per second; peak [\d.]+ in the last two minutes$/);
  assert.deepEqual(page.faults, []);
});

test("the search finds by SKU, customer and reference on the server", async (t) => {
  const server = await startServer(t);
  const { id } = await product(server, "Lamp", 20, { sku: "LAMP/1 ü" });
  const held = await hold(server, id, 1, "ada");
  const bought = await order(server, id, 2, { reference: "R 77", customer: "grace" });
  const page = await open(t, server.url);
  await live(page);
  const search = async (by, text) => {
    await page.locator("#search-by").selectOption(by);
    await page.locator("#search-text").fill(text);
    await page.locator("#search-text").press("Enter");
    await until(() => page.locator("#results-title").innerText(), (title) => title.includes(text), "the title");
    const of = (kind) => page.locator(`#results [data-${kind}]`).evaluateAll((rows, kind_) => rows.map((row) => Number(row.dataset[kind_])), kind);
    return [await of("product"), await of("hold"), await of("order")];
  };
  const [, converted] = [0, bought.hold_id];
  assert.deepEqual(await search("sku", "LAMP/1 ü"), [[id], [held.id, converted], [bought.id]]);
  assert.deepEqual(await search("customer", "ada"), [[], [held.id], []]);
  assert.deepEqual(await search("reference", "R 77"), [[], [], [bought.id]]);
  assert.deepEqual(await search("customer", "nobody"), [[], [], []]);
  assert.match(await page.locator("#results-body").innerText(), /Nothing has this customer/);
  // The title has the focus, so that a screen reader reads on from it.
  assert.equal(await page.evaluate(() => document.activeElement.id), "results-title");
  assert.deepEqual(page.faults, []);
});
