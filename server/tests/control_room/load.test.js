// 10,000 products and 5,000 events a second do not freeze the page.

import assert from "node:assert/strict";
import { request } from "node:http";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { closeBrowser, folder, importProducts, live, open, SHOTS, startServer, until } from "./harness.js";

after(closeBrowser);

const PRODUCTS = 10000;
const EVENTS_PER_SECOND = 5000;
const SECONDS = 6;
/** The server of a debug build shares the cores, too, and may answer later than asked. */
const ANSWERED_PER_SECOND_MIN = 2000;
/** The page shares two cores with the server and with what makes the events. */
const LONG_TASK_MAX = 400;
const FRAMES_PER_SECOND_MIN = 20;

/** Sends holds as JSON Lines at a steady rate, and returns how many were made. */
async function sell(server, ids, seconds) {
  const sent = request(`${server.url}/api/holds/batch`, { method: "POST", headers: { "content-type": "application/jsonl" } });
  let made = 0;
  let rest = "";
  const answered = new Promise((resolve, reject) => {
    sent.on("error", reject);
    sent.on("response", (response) => {
      response.setEncoding("utf8");
      response.on("data", (text) => {
        const lines = (rest + text).split("\n");
        rest = lines.pop();
        made += lines.filter((line) => line.includes('"success":true')).length;
      });
      response.on("end", resolve);
    });
  });
  const slices = 20;
  const started = Date.now();
  let at = 0;
  for (let slice = 1; slice <= seconds * slices; slice += 1) {
    let lines = "";
    for (let n = 0; n < EVENTS_PER_SECOND / slices; n += 1) {
      at += 1;
      lines += `{"product_id":${ids[(at * 37) % ids.length]},"quantity":1}\n`;
    }
    sent.write(lines);
    await sleep(Math.max(0, started + (slice * 1000) / slices - Date.now()));
  }
  sent.end();
  await answered;
  return { made, took: (Date.now() - started) / 1000 };
}

test("10,000 products and 5,000 events a second", { timeout: 80000 }, async (t) => {
  const store = `sqlite:${folder(t)}/shop.db`;
  importProducts(store, Array.from({ length: PRODUCTS }, (_, at) => ({ name: `Product ${at + 1}`, sku: `SKU-${at + 1}`, price: 10, stock: 1000 })));
  const server = await startServer(t, { store });
  const page = await open(t, server.url, { reducedMotion: "no-preference" });
  await live(page);
  await until(() => page.locator("#products-note").innerText(), (text) => text === "10,000 listed", "all products are listed", 20000);
  const ids = [];
  for (let after_ = ""; after_ !== null; ) {
    const { items, next } = await server.ok("GET", `/api/products?limit=1000${after_}`);
    ids.push(...items.map(({ id }) => id));
    after_ = next === null ? null : `&after=${next}`;
  }
  assert.equal(ids.length, PRODUCTS);
  await page.evaluate(() => {
    window.measured = { long: [], frames: 0, rows: 0, elements: 0 };
    new PerformanceObserver((list) => measured.long.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" });
    const frame = () => {
      measured.frames += 1;
      measured.rows = Math.max(measured.rows, document.querySelectorAll("#products [data-product]").length);
      measured.elements = Math.max(measured.elements, document.querySelectorAll("*").length);
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  const cdp = await page.context().newCDPSession(page);
  const heap = async () => {
    await cdp.send("HeapProfiler.collectGarbage");
    return (await cdp.send("Runtime.getHeapUsage")).usedSize / 2 ** 20;
  };
  const before = await heap();
  const selling = sell(server, ids, SECONDS);
  // It is used meanwhile: scrolled from end to end.
  const scrolling = (async () => {
    for (let step = 0; step <= 40; step += 1) {
      await page.locator("#products").evaluate((list, part) => list.scrollTo(0, part * list.scrollHeight), step / 40);
      await sleep((SECONDS * 1000) / 45);
    }
  })();
  const rates = [];
  const watching = (async () => {
    for (let second = 0; second < SECONDS; second += 1) {
      await sleep(1000);
      rates.push(await page.locator("#events-note").innerText());
    }
  })();
  await page.screenshot({ path: join(SHOTS, "busy.png") });
  const [{ made, took }] = await Promise.all([selling, scrolling, watching]);
  const measured = await page.evaluate(() => window.measured);
  const longest = Math.max(0, ...measured.long);
  const fps = measured.frames / took;
  const grown = (await heap()) - before;
  t.diagnostic(`${made} events in ${took.toFixed(1)} s (${Math.round(made / took)} a second; the page said ${rates.at(-2)})`);
  t.diagnostic(`${fps.toFixed(0)} frames a second; ${measured.long.length} long tasks, the longest ${longest.toFixed(0)} ms; heap grew by ${grown.toFixed(1)} MiB`);
  t.diagnostic(`at most ${measured.rows} rows of products and ${measured.elements} elements in the document`);
  assert.equal(made, EVENTS_PER_SECOND * SECONDS);
  assert.ok(made / took > ANSWERED_PER_SECOND_MIN, `only ${made} events in ${took} s`);
  assert.ok(longest < LONG_TASK_MAX, `a task of ${longest} ms`);
  assert.ok(fps > FRAMES_PER_SECOND_MIN, `${fps} frames a second`);
  assert.ok(measured.rows < 60 && measured.elements < 4000);
  assert.ok(grown < 40, `the heap grew by ${grown} MiB`);
  // After it all the last rows are what the API says.
  await page.locator("#products").evaluate((list) => list.scrollTo(0, list.scrollHeight));
  const last = page.locator(`#products [data-product="${ids.at(-1)}"]`);
  const { held } = await server.ok("GET", `/api/products/${ids.at(-1)}`);
  await until(() => last.locator("[data-field=held] b").innerText(), (text) => text === String(held), "the last product");
  await page.screenshot({ path: join(SHOTS, "busy-after.png") });
  assert.deepEqual(page.faults, []);
});
