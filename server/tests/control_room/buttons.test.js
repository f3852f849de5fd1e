// Each button, pressed by keyboard, does what it says in the store.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, hold, live, open, order, pay, product, startServer, tabTo, until } from "./harness.js";

after(closeBrowser);

/** Returns a page on a shop with one product. */
async function shop(t) {
  const server = await startServer(t);
  const lamp = await product(server, "Lamp", 20, { sku: "LAMP" });
  return { server, lamp };
}

async function show(t, server) {
  const page = await open(t, server.url);
  await live(page);
  return page;
}

/** Presses a button by keyboard, then fills in and confirms the dialog. */
async function press(page, name, fields = {}) {
  await tabTo(page, name);
  await page.keyboard.press("Enter");
  await page.locator("#dialog[open]").waitFor();
  for (const [label, text] of Object.entries(fields)) {
    const focused = await page.evaluate(() => document.querySelector(`label[for="${document.activeElement.id}"]`)?.textContent);
    if (focused !== label) await tabTo(page, label);
    if (text === true) await page.keyboard.press("Space");
    else {
      await page.keyboard.press("Control+A");
      await page.keyboard.type(text);
    }
  }
  await confirm(page);
}

async function confirm(page) {
  await tabTo(page, await page.locator("#dialog-confirm").innerText());
  await page.keyboard.press("Enter");
}

/** Waits for the announced result. */
const result = (page, text) => until(() => page.locator("#result").innerText(), (found) => found === text, `the result is not ${text}`);

const units = async (server, { id }) => {
  const { stock, held, pending, sold, returned } = await server.ok("GET", `/api/products/${id}`);
  return [stock, held, pending, sold, returned];
};

const isConsistent = async (server, page) => {
  assert.equal((await server.ok("GET", "/api/admin/audit")).consistent, true);
  assert.deepEqual(page.faults, []);
};

test("adjust stock adds units, and writes them off", async (t) => {
  const { server, lamp } = await shop(t);
  const page = await show(t, server);
  await press(page, "Adjust stock of Lamp", { "Units to add": "5", Reason: "delivery" });
  await result(page, "Lamp now has 25 units in stock.");
  assert.deepEqual(await units(server, lamp), [25, 0, 0, 0, 0]);
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), "Adjust stock of Lamp", "the focus is back");
  await press(page, "Adjust stock of Lamp", { "Units to add": "-10" });
  await result(page, "Lamp now has 15 units in stock.");
  assert.deepEqual(await units(server, lamp), [15, 0, 0, 0, 0]);
  const { events } = await server.ok("GET", "/api/admin/events?after=0&limit=100");
  assert.deepEqual(events.filter(({ type, reason }) => type === "stock.adjusted" && reason).map(({ qty, reason }) => [qty, reason]), [[5, "delivery"], [-10, "restock"]]);
  await isConsistent(server, page);
});

test("a refusal is shown in the server's words, and Escape changes nothing", async (t) => {
  const { server, lamp } = await shop(t);
  const page = await show(t, server);
  await press(page, "Adjust stock of Lamp", { "Units to add": "-21" });
  const { json } = await server.send("POST", `/api/admin/products/${lamp.id}/adjust`, { delta: -21, reason: "x" });
  await until(() => page.locator("#dialog-error").innerText(), (text) => text === json.message, "the error");
  await page.keyboard.press("Escape");
  await page.locator("#dialog[open]").waitFor({ state: "hidden" });
  assert.deepEqual(await units(server, lamp), [20, 0, 0, 0, 0]);
  await isConsistent(server, page);
});

test("release returns a hold's units", async (t) => {
  const { server, lamp } = await shop(t);
  const made = await hold(server, lamp.id, 3);
  const page = await show(t, server);
  await page.locator(`[data-hold="${made.id}"]`).waitFor();
  await press(page, `Release hold ${made.id}`);
  await result(page, `Hold ${made.id} is released.`);
  assert.equal((await server.ok("GET", `/api/holds/${made.id}`)).hold.status, "released");
  assert.deepEqual(await units(server, lamp), [20, 0, 0, 0, 0]);
  await page.locator(`#holds [data-hold="${made.id}"]`).waitFor({ state: "detached" });
  await isConsistent(server, page);
});

test("cancel, refund and restock do so to an order", async (t) => {
  const { server, lamp } = await shop(t);
  const [pending, paid] = [await order(server, lamp.id, 2), await order(server, lamp.id, 4)];
  await pay(server, paid.id);
  const page = await show(t, server);
  await page.locator(`#orders [data-order="${paid.id}"]`).waitFor();
  await press(page, `Cancel order ${pending.id}`, { Reason: "asked" });
  await result(page, `Order ${pending.id} is cancelled.`);
  assert.equal((await server.ok("GET", `/api/orders/${pending.id}`)).order.status, "cancelled");
  assert.deepEqual(await units(server, lamp), [16, 0, 0, 4, 0]);

  await press(page, `Refund order ${paid.id}`, { "Amount in EUR": "10.5" });
  await result(page, `Order ${paid.id}: €10.50 of €79.96 is refunded.`);
  assert.deepEqual(await units(server, lamp), [16, 0, 0, 4, 0]);
  await press(page, `Refund order ${paid.id}`);
  await result(page, `Order ${paid.id}: €79.96 of €79.96 is refunded.`);
  assert.deepEqual(await units(server, lamp), [16, 0, 0, 0, 4]);
  await page.locator(`#orders [data-order="${paid.id}"] button:visible`, { hasText: "Restock" }).waitFor();
  await press(page, `Restock returned units of order ${paid.id}`);
  await result(page, `4 units of order ${paid.id} are back in stock.`);
  assert.deepEqual(await units(server, lamp), [20, 0, 0, 0, 0]);
  await isConsistent(server, page);
});

test("a refund with restock returns the units at once", async (t) => {
  const { server, lamp } = await shop(t);
  const paid = await order(server, lamp.id, 4);
  await pay(server, paid.id);
  const page = await show(t, server);
  await page.locator(`#orders [data-order="${paid.id}"]`).waitFor();
  await press(page, `Refund order ${paid.id}`, { "Return all units to stock": true, Reason: "broken box" });
  await result(page, `Order ${paid.id}: €79.96 of €79.96 is refunded.`);
  assert.deepEqual(await units(server, lamp), [20, 0, 0, 0, 0]);
  await isConsistent(server, page);
});

test("owed refunds are settled and waiting payments removed", async (t) => {
  const { server, lamp } = await shop(t);
  const owed = await order(server, lamp.id, 1);
  await server.ok("POST", `/api/orders/${owed.id}/cancel`);
  await pay(server, owed.id);
  const late = await order(server, lamp.id, 1);
  await pay(server, late.id, "cancelled");
  await pay(server, late.id, "paid");
  const early = owed.id + 900000;
  await pay(server, early, "paid", { amount: 5, currency: "EUR" });
  const page = await show(t, server);
  await page.locator("#attention [data-payment]").waitFor();
  await until(() => page.locator("#attention-note").innerText(), (text) => text === "2 cases", "the cases");
  assert.equal(await page.locator(`#attention [data-order="${late.id}"]`).count(), 1, "the late payment");

  await press(page, `Settle refund of order ${owed.id}`);
  await result(page, `The refund of order ${owed.id} is settled.`);
  assert.notEqual((await server.ok("GET", `/api/orders/${owed.id}`)).order.payment_disposition, "needs_refund");
  await press(page, `Remove the waiting payment for order ${early}`);
  await result(page, "The waiting payment is removed.");
  assert.deepEqual((await server.ok("GET", "/api/admin/payments/waiting")).items, []);
  await until(() => page.locator("#attention-note").innerText(), (text) => text === "", "no case is left");
  await isConsistent(server, page);
});

test("a command whose answer is lost is sent again with the same key", async (t) => {
  const { server, lamp } = await shop(t);
  const page = await show(t, server);
  const keys = [];
  await page.route("**/adjust", async (route) => {
    keys.push(route.request().headers()["idempotency-key"]);
    // It reaches the server; the first answer does not reach the page.
    const response = await route.fetch();
    if (keys.length === 1) await route.abort();
    else await route.fulfill({ response });
  });
  await press(page, "Adjust stock of Lamp", { "Units to add": "5" });
  await until(() => page.locator("#dialog-error").innerText(), (text) => text.startsWith("The server did not answer."), "the error");
  await confirm(page);
  await result(page, "Lamp now has 25 units in stock.");
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);
  assert.deepEqual(await units(server, lamp), [25, 0, 0, 0, 0]);
  await isConsistent(server, page);
});
