// Servers and browsers of the tests.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const PROGRAM = process.env.CONTROL_ROOM_PROGRAM;
export const SHOTS = join(import.meta.dirname, "screenshots");

/** A folder that is removed at the end of a test. */
export function folder(test) {
  const path = mkdtempSync(join(tmpdir(), "control-room-"));
  test.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Starts a server that ends with the test. */
export async function startServer(test, { store = "sqlite::memory:", listen = "127.0.0.1:0", args = [], env = {} } = {}) {
  const child = spawn(PROGRAM, ["--store", store, "--listen", listen, "--log-level", "error", "--no-seed", ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const [line] = await Promise.race([once(child.stdout, "data"), ended]);
  const url = String(line).trim().replace("listening on ", "");
  if (!url.startsWith("http")) throw new Error(`the server ended with ${line}`);
  const stop = async (signal = "SIGTERM") => {
    if (child.exitCode === null) child.kill(signal);
    await ended;
  };
  test.after(() => stop());
  const key = env.STOCKADE_API_KEY;
  const auth = key ? { authorization: `Bearer ${key}` } : {};
  /** Sends a request and returns status and JSON. */
  async function send(method, path, body, headers = {}) {
    const response = await fetch(url + path, {
      method,
      headers: { ...auth, ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, json: text ? JSON.parse(text) : undefined };
  }
  /** Sends a request that must succeed, and returns its JSON. */
  async function ok(method, path, body, headers) {
    const { status, json } = await send(method, path, body, headers);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(json)}`);
    return json;
  }
  return { url, stop, send, ok, child };
}

/** Makes products with a store's own command. */
export function importProducts(store, lines) {
  const file = `${store.replace("sqlite:", "")}.jsonl`;
  writeFileSync(file, lines.map((line) => JSON.stringify(line)).join("\n"));
  for (const command of [["migrate"], ["product", "import", file]]) {
    const done = spawnSync(PROGRAM, ["--store", store, ...command], { encoding: "utf8" });
    if (done.status !== 0) throw new Error(done.stdout + done.stderr);
  }
}

let browser;
/** Starts the browser once for each file of tests. */
export async function open(test, url, options = {}) {
  browser ??= await chromium.launch({
    executablePath: process.env.CHROMIUM,
    chromiumSandbox: false,
    args: ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(String(error)));
  page.on("console", (message) => {
    // A refused request is shown by the browser whatever the page does with it.
    const isRefusal = message.text().includes("Failed to load resource");
    if (message.type() === "error" && !isRefusal) page.faults.push(message.text());
  });
  page.on("dialog", (dialog) => {
    page.faults.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(new URL(url).origin)) page.faults.push(`a foreign request: ${request.url()}`);
  });
  test.after(() => context.close());
  await page.goto(`${url}/admin`);
  return page;
}

/** Ends the browser of this file. */
export const closeBrowser = async () => browser?.close();

/** Waits until the page follows the stream and has read its lists. */
export async function live(page) {
  await page.locator('#link[data-state="live"]').waitFor();
  await page.locator("#state [data-part=store]").waitFor();
}

/** Waits until a value is as expected, and shows the last one if it never is. */
export async function until(read, isRight, what, timeout = 10000) {
  const end = Date.now() + timeout;
  for (;;) {
    const value = await read();
    if (isRight(value)) return value;
    if (Date.now() > end) throw new Error(`${what}: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Presses Tab until the control with this name has the focus. */
export async function tabTo(page, name, max = 200) {
  for (let at = 0; at < max; at += 1) {
    await page.keyboard.press("Tab");
    const focused = await page.evaluate(() => {
      const { activeElement: element } = document;
      const label = element.id && document.querySelector(`label[for="${CSS.escape(element.id)}"]`);
      return element.getAttribute("aria-label") ?? label?.textContent ?? element.textContent;
    });
    if (focused === name) return;
  }
  throw new Error(`Tab does not reach ${name}`);
}

/** Makes a hold and returns it. */
export async function hold(server, product, quantity, customer, ttl) {
  const body = { ...(customer && { customer }), ...(ttl && { ttl }) };
  return (await server.ok("POST", `/api/holds/${product}/${quantity}`, body)).hold;
}

/** Makes an order of one hold and returns it. */
export async function order(server, product, quantity, { customer, reference } = {}) {
  const made = await hold(server, product, quantity, customer);
  return (await server.ok("POST", `/api/orders/${made.id}/${product}`, reference ? { reference } : {})).order;
}

let events = 0;
/** Sends a payment event. */
export async function pay(server, id, status = "paid", more = {}) {
  events += 1;
  return server.ok("POST", "/api/payments/webhook", { order_id: id, status, idempotency_key: `event-${events}`, ...more });
}

/** Makes a product and returns it. */
export const product = (server, name, stock, more = {}) => server.ok("POST", "/api/admin/products", { name, price: 19.99, stock, ...more });
