// Accessibility by axe-core, in light and dark, on a desk and on a phone; screenshots.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { closeBrowser, hold, live, open, order, pay, product, SHOTS, startServer, until } from "./harness.js";

after(closeBrowser);

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const GOODS = [
  ["Enamel mug, cream", "MUG-CREAM", 240],
  ["Brass desk lamp", "LAMP-BRASS", 62],
  ["Linen notebook A5", "NOTE-A5-LIN", 510],
  ["Screen print “Harbour”, signed", "PRINT-HARBOUR-S", 12],
  ["Wool throw, moss", "THROW-MOSS", 38],
  ["Cast iron teapot", "TEAPOT-1L", 74],
  ["Beech stool", "STOOL-BEECH", 25],
  ["Ceramic planter, large", "PLANT-L", 90],
  ["Concert ticket, 14 March", "TICKET-0314", 400],
  ["Fountain pen, fine", "PEN-F", 130],
  ["Leather card holder", "CARD-TAN", 85],
  ["Oak serving board", "BOARD-OAK", 54],
];
const PEOPLE = ["ada@example.com", "grace@example.com", "linus", "Zoë Müller", "margaret", "田中"];

const shop = {};
const ends = [];

before(async () => {
  const server = await startServer({ after: (end) => ends.push(end) });
  const products = [];
  for (const [name, sku, stock] of GOODS) products.push(await product(server, name, stock, { sku, price: 8 + stock / 10 }));
  await server.ok("PATCH", `/api/admin/products/${products[6].id}`, { safety_stock: 5 });
  const pick = (of, at) => of[at % of.length];
  for (let at = 0; at < 60; at += 1) {
    const made = await order(server, pick(products, at * 7).id, 1 + (at % 3), { customer: pick(PEOPLE, at), reference: `W-${1040 + at}` });
    if (at % 6 !== 5) await pay(server, made.id);
    if (at % 9 === 0) await server.ok("POST", `/api/orders/${made.id}/refund`, { reason: "returned by the customer" });
    if (at % 13 === 3 && at % 6 !== 5) await server.ok("POST", `/api/orders/${made.id}/refund`, { amount: 4.5 });
  }
  for (let at = 0; at < 4; at += 1) {
    const made = await order(server, products[at].id, 1, { customer: pick(PEOPLE, at + 2), reference: `W-${1200 + at}` });
    if (at < 2) await server.ok("POST", `/api/orders/${made.id}/cancel`, { reason: "asked by phone" });
    else if (at === 2) await pay(server, made.id, "cancelled");
    await pay(server, made.id, "paid", at === 3 ? { amount: 1, currency: "EUR" } : {});
  }
  await server.ok("POST", "/api/payments/webhook", { order_id: 990017, status: "paid", idempotency_key: "evt_1QbX9a", amount: 61.5, currency: "EUR" });
  for (let at = 0; at < 14; at += 1) await hold(server, pick(products, at * 5).id, 1 + (at % 4), pick(PEOPLE, at), 20 + at * 23);
  const last = await product(server, "Limited print, no. 1 of 1", 1, { sku: "PRINT-1" });
  await hold(server, last.id, 1, "ada@example.com", 600);
  Object.assign(shop, { server, products });
  // The plots are of the time in which the room has a viewer.
  const viewer = new AbortController();
  ends.push(() => viewer.abort());
  const stream = await fetch(`${server.url}/admin/stream`, { signal: viewer.signal });
  stream.body.pipeTo(new WritableStream()).catch(() => {});
  // Some traffic, in waves, so that the plots have something to show.
  let at = 0;
  shop.traffic = setInterval(() => {
    at += 1;
    const wave = Math.max(0, Math.round(3 + 3 * Math.sin(at / 9)));
    for (let n = 0; n < wave; n += 1) {
      server.send("POST", `/api/holds/${pick(products, at + n * 5).id}/1`, { ttl: 40 }).catch(() => {});
    }
    if (at % 5 === 0) server.send("POST", `/api/holds/${last.id}/1`).catch(() => {});
  }, 100);
});
after(async () => {
  clearInterval(shop.traffic);
  for (const end of ends) await end();
});

const SIZES = {
  desk: { width: 1600, height: 1180 },
  tablet: { width: 820, height: 1100 },
  phone: { width: 360, height: 780 },
};

/** Expects no violation, and nothing that axe could not decide but colours over images. */
async function check(page, what) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.html} ${node.any[0]?.message ?? ""}`).join("; ")}`);
  assert.deepEqual(told, [], what);
}

for (const colorScheme of ["light", "dark"]) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    if (colorScheme === "dark" && size === "tablet") continue;
    test(`${colorScheme} on a ${size}`, async (t) => {
      const isPhone = size === "phone";
      // The page's policy would keep axe from running.
      const page = await open(t, shop.server.url, { viewport, colorScheme, bypassCSP: true, hasTouch: isPhone, isMobile: isPhone, deviceScaleFactor: isPhone ? 2 : 1 });
      await live(page);
      await page.locator("#attention [data-order]").first().waitFor();
      await page.locator("#holds li").nth(8).waitFor();
      // A few points of the plots.
      const wait = Number(process.env.SHOT_SECONDS ?? 1) * 1000;
      const started = Date.now();
      await until(async () => Date.now() - started, (passed) => passed > wait, "the plots", wait + 5000);
      await page.screenshot({ path: join(SHOTS, `${size}-${colorScheme}.png`), fullPage: true });
      await check(page, "the page");
      assert.deepEqual(page.faults, []);
      const width = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
      assert.equal(width[0], width[1], "nothing is wider than the window");

      // Between the two there is nothing new in dialogs.
      if (size !== "desk" && !isPhone) return;
      await page.locator("#orders button:visible", { hasText: "Refund" }).first().click();
      await page.locator("#dialog[open]").waitFor();
      await page.screenshot({ path: join(SHOTS, `${size}-${colorScheme}-refund.png`) });
      await check(page, "the dialog");
      await page.keyboard.press("Escape");
      await page.locator("#search-text").fill("MUG-CREAM");
      await page.locator("#search-text").press("Enter");
      await page.locator("#results [data-product]").waitFor();
      await page.screenshot({ path: join(SHOTS, `${size}-${colorScheme}-search.png`) });
      await check(page, "the search");
      assert.deepEqual(page.faults, []);
    });
  }
}

test("the dialog that asks for a key", async (t) => {
  const server = await startServer(t, { env: { STOCKADE_API_KEY: "operator-secret-1234" } });
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(t, server.url, { viewport: SIZES.phone, colorScheme, bypassCSP: true });
    await page.locator("#key-dialog[open]").waitFor();
    await page.screenshot({ path: join(SHOTS, `key-${colorScheme}.png`) });
    await check(page, colorScheme);
  }
});
