// Who may open the control room, and what happens when the server goes away.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request } from "node:http";
import { after, test } from "node:test";
import { closeBrowser, folder, hold, live, open, product, startServer, tabTo, until } from "./harness.js";

after(closeBrowser);

const KEYS = { STOCKADE_API_KEY: "operator-secret-1234", STOCKADE_API_KEYS: "till:sell:till-secret-123456,boss:operate:boss-secret-123456", STOCKADE_WEBHOOK_SECRET: "hush" };

/** Sends a request with any Host, which fetch does not let one choose, and returns its status. */
async function raw(url, path, headers, method = "GET") {
  const sent = request(url + path, { method, headers });
  sent.end();
  const [response] = await once(sent, "response");
  response.destroy();
  return { status: response.statusCode, headers: response.headers };
}

test("with keys the page asks for one, and says what is wrong with another", async (t) => {
  const server = await startServer(t, { env: KEYS });
  const lamp = await product(server, "Lamp", 20);
  assert.equal((await raw(server.url, "/admin")).status, 200, "the page itself has no data");
  assert.equal((await raw(server.url, "/admin/stream")).status, 401);
  assert.equal((await raw(server.url, "/admin/stream", { authorization: "Bearer till-secret-123456" })).status, 403);
  assert.equal((await raw(server.url, "/admin/stream", { authorization: "Bearer boss-secret-123456" })).status, 200);

  const page = await open(t, server.url);
  await page.locator("#key-dialog[open]").waitFor();
  assert.match(await page.locator("#key-dialog p").first().innerText(), /an API key with the scope operate/);
  assert.equal(await page.locator("#products [data-product]").count(), 0);
  const enter = async (secret) => {
    await tabTo(page, "API key").catch(() => page.locator("#key-input").focus());
    await page.keyboard.type(secret);
    await page.keyboard.press("Enter");
  };
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("#key-dialog[open]").count(), 1, "there is nothing to see without a key");
  await enter("guess-guess-guess");
  await until(() => page.locator("#key-error").innerText(), (text) => text === "the API key is wrong", "a wrong key");
  await enter("till-secret-123456");
  await until(() => page.locator("#key-error").innerText(), (text) => /needs an API key with the scope operate, and till has the scope sell/.test(text), "a small scope");
  await enter("boss-secret-123456");
  await live(page);
  await page.locator(`#products [data-product="${lamp.id}"]`).waitFor();
  // The command is the key's.
  await page.locator(`#products [data-product="${lamp.id}"] button`).click();
  await page.locator("#dialog-confirm").click();
  await until(() => page.locator("#result").innerText(), (text) => text === "Lamp now has 21 units in stock.", "the result");
  const { events } = await server.ok("GET", "/api/admin/events?after=0&limit=10");
  assert.equal(events.at(-1).actor, "boss");
  // The key is neither in the address nor kept for other tabs, and is forgotten.
  assert.ok(!page.url().includes("secret"));
  assert.equal(await page.evaluate(() => Object.keys(localStorage).length + document.cookie.length), 0);
  await page.reload();
  await live(page);
  await page.locator("#lock").click();
  await page.locator("#key-dialog[open]").waitFor();
  assert.equal(await page.evaluate(() => Object.keys(sessionStorage).length), 0);
  assert.equal(await page.locator("#products [data-product]").count(), 0);
  assert.deepEqual(page.faults, []);
});

test("without keys only this machine's own page is an operator", async (t) => {
  const server = await startServer(t);
  const { id } = await product(server, "Lamp", 5);
  const { host } = new URL(server.url);
  const adjust = (headers) => raw(server.url, `/api/admin/products/${id}/adjust`, headers, "POST");
  // Without a body it is refused as a request, not as a caller.
  for (const headers of [{}, { origin: `http://${host}` }]) assert.equal((await adjust({ host, ...headers })).status, 400);
  for (const headers of [
    { host: "evil.example" },
    { host, origin: "https://evil.example" },
    { host, origin: "http://localhost:3000" },
    { host, origin: "null" },
    { host, "sec-fetch-site": "cross-site" },
    { host, "x-forwarded-for": "10.0.0.1" },
  ]) {
    for (const path of ["/admin", "/admin/main.js", "/admin/stream"]) assert.equal((await raw(server.url, path, headers)).status, 403, JSON.stringify(headers));
    assert.equal((await adjust(headers)).status, 403, JSON.stringify(headers));
  }
  const insecure = await startServer(t, { args: ["--insecure", "--cors-origins=http://shop.example"] });
  const rebound = { host: "evil.example", origin: "http://evil.example" };
  for (const headers of [rebound, { host: new URL(insecure.url).host, origin: "http://shop.example" }]) {
    const { status } = await raw(insecure.url, "/api/admin/sweep", headers, "POST");
    assert.equal(status, 401, JSON.stringify(headers));
  }
});

test("a web page of another origin can neither read nor frame nor act", async (t) => {
  const server = await startServer(t);
  await product(server, "Lamp", 5);
  const evil = createServer((_, response) => response.setHeader("content-type", "text/html").end("<iframe></iframe>"));
  evil.listen(0, "127.0.0.1");
  await once(evil, "listening");
  t.after(() => evil.close());
  const page = await open(t, server.url);
  await live(page);
  await page.goto(`http://localhost:${evil.address().port}/`);
  const seen = await page.evaluate(async (url) => {
    const status = async (path, init) => fetch(url + path, init).then(() => "answered", () => "refused");
    const frame = document.querySelector("iframe");
    frame.src = `${url}/admin`;
    await new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
    await status("/api/admin/products/1/adjust", { method: "POST", mode: "no-cors", body: '{"delta":1,"reason":"x"}' });
    return [await status("/admin/stream"), await status("/api/admin/orders"), await status("/admin/main.js")];
  }, server.url);
  assert.deepEqual(seen, ["refused", "refused", "refused"]);
  assert.ok(!(await page.frames()[1].content()).includes("control room"), "it is not framed");
  assert.equal((await server.ok("GET", "/api/products")).items[0].stock, 5);
});

test("the page goes on after the server was restarted", async (t) => {
  const store = `sqlite:${folder(t)}/shop.db`;
  const first = await startServer(t, { store });
  const { id } = await product(first, "Lamp", 5);
  const page = await open(t, first.url);
  await live(page);
  const stock = () => page.locator(`#products [data-product="${id}"] [data-field=stock] b`).innerText();
  await until(stock, (text) => text === "5", "the stock");
  const started = Date.now();
  await first.stop();
  assert.ok(Date.now() - started < 5000, "an open page does not keep the server from stopping");
  await page.locator('#link[data-state="wait"]').waitFor();
  const second = await startServer(t, { store, listen: new URL(first.url).host });
  await hold(second, id, 2);
  await live(page);
  await until(stock, (text) => text === "3", "the stock after the restart");
  assert.deepEqual(page.faults, []);
});

test("no more than 32 viewers are served, and each that leaves makes room", async (t) => {
  const server = await startServer(t);
  const open_ = async () => {
    const end = new AbortController();
    const response = await fetch(`${server.url}/admin/stream`, { signal: end.signal });
    return { response, end };
  };
  const viewers = await Promise.all(Array.from({ length: 32 }, open_));
  assert.deepEqual([...new Set(viewers.map(({ response }) => response.status))], [200]);
  const more = await open_();
  assert.equal(more.response.status, 503);
  assert.match((await more.response.json()).message, /32 control rooms are open/);
  viewers[0].end.abort();
  const again = await until(open_, ({ response }) => response.status === 200, "a place is free");
  for (const { end } of [...viewers, again]) end.abort();
});
