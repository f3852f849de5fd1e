// Nothing of a shop's data becomes markup, script or an address.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, hold, live, open, order, pay, product, startServer, until } from "./harness.js";

after(closeBrowser);

const HOSTILE = [
  `<img src=x onerror="window.pwned=1">`,
  `"><script>window.pwned=1</script>`,
  `'--></title><svg onload=window.pwned=1>`,
  `javascript:window.pwned=1`,
  "\u202Egnp.exe\u2066 rtl",
  "عربى עברית",
  "\\u003cscript\\u003e{{7*7}}${7*7}",
];

/** Makes a text of the length that a field may have. */
const long = (text, length) => text + "W".repeat(length - text.length);

test("names, SKUs, customers, references and reasons are shown as text", async (t) => {
  const server = await startServer(t);
  const made = [];
  for (const [at, text] of HOSTILE.entries()) {
    const { id } = await product(server, long(text, 200), 20, { sku: `${text}${at}` });
    const held = await hold(server, id, 1, long(`${text}c`, 120));
    const bought = await order(server, id, 1, { customer: `${text}o`, reference: `${text}r` });
    const late = await order(server, id, 1, { reference: long(`${text}l`, 120) });
    await server.ok("POST", `/api/orders/${late.id}/cancel`, { reason: `${text}why` });
    await pay(server, late.id);
    await server.ok("POST", "/api/payments/webhook", { order_id: 900000 + at, status: "paid", idempotency_key: `${text}k` });
    await server.ok("POST", `/api/admin/products/${id}/adjust`, { delta: 1, reason: text });
    made.push({ id, held, bought, text, at });
  }
  for (const viewport of [{ width: 1440, height: 1000 }, { width: 360, height: 740 }]) {
    const page = await open(t, server.url, { viewport });
    await live(page);
    await page.locator("#attention [data-payment]").nth(HOSTILE.length - 1).waitFor();
    await page.locator("#orders li").nth(HOSTILE.length).waitFor();
    for (const { id, held, bought, text, at } of made) {
      await until(() => page.locator("#products").evaluate((list, id_) => list.querySelector(`[data-product="${id_}"] .name`)?.textContent, id), (name) => name === long(text, 200), "the name");
      const sku = await page.locator(`#products [data-product="${id}"] .sku`).evaluate((one) => one.textContent);
      assert.equal(sku, `${text}${at}`);
      const about = await page.locator(`#orders [data-order="${bought.id}"] .about`).evaluate((one) => one.textContent);
      assert.ok(about.startsWith(`${text}r · ${text}o · `), about);
      await page.locator(`#holds [data-hold="${held.id}"]`).waitFor({ state: "attached" });
      const searches = [["sku", sku], ["customer", `${text}o`], ["reference", `${text}r`]];
      for (const [by, asked] of viewport.width > 400 ? searches : [searches[at % 3]]) {
        await page.locator("#search-by").selectOption(by);
        await page.locator("#search-text").fill(asked);
        await page.locator("#search-text").press("Enter");
        await page.locator(`#results [data-order="${bought.id}"]`).waitFor();
      }
      await page.locator("#results-close").click();
    }
    // The dialogs repeat names.
    const adjust = page.locator(`#products [data-product="${made[0].id}"] button`);
    await adjust.click();
    assert.ok((await page.locator("#dialog-text").textContent()).startsWith(long(HOSTILE[0], 200)));
    await page.keyboard.press("Escape");
    const found = await page.evaluate(() => ({
      pwned: window.pwned,
      // The page's own, and no other.
      scripts: document.scripts.length,
      images: document.images.length,
      frames: document.querySelectorAll("iframe, object, embed, a[href^='javascript']").length,
      handlers: [...document.querySelectorAll("*")].filter((one) => [...one.attributes].some(({ name }) => name.startsWith("on"))).length,
      isWide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
    }));
    assert.deepEqual(found, { pwned: undefined, scripts: 1, images: 1, frames: 0, handlers: 0, isWide: false });
    assert.deepEqual(page.faults, []);
  }
});

test("the policy lets nothing else run, and no text become markup", async (t) => {
  const server = await startServer(t);
  const page = await open(t, server.url);
  await live(page);
  const blocked = await page.evaluate(async () => {
    const seen = [];
    document.addEventListener("securitypolicyviolation", (event) => seen.push(event.effectiveDirective));
    const attempt = (act) => {
      try {
        act();
      } catch (error) {
        seen.push(error.name);
      }
    };
    attempt(() => {
      document.body.innerHTML += "<p>";
    });
    attempt(() => {
      const script = document.createElement("script");
      script.textContent = "window.pwned = 1";
      document.body.append(script);
    });
    attempt(() => {
      const style = document.createElement("style");
      style.textContent = "body { color: red }";
      document.body.append(style);
    });
    attempt(() => {
      const image = document.createElement("img");
      image.src = "https://evil.example/x.png";
      document.body.append(image);
    });
    attempt(() => {
      const form = document.createElement("form");
      form.action = "https://evil.example/";
      document.body.append(form);
      form.submit();
    });
    await fetch("https://evil.example/").catch((error) => seen.push(error.name));
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    return { seen, pwned: window.pwned };
  });
  assert.equal(blocked.pwned, undefined);
  for (const directive of ["require-trusted-types-for", "style-src-elem", "img-src", "connect-src"]) {
    assert.ok(blocked.seen.includes(directive), `${directive} of ${blocked.seen}`);
  }
  // The form went nowhere, either.
  assert.equal(page.url(), `${server.url}/admin`);
});
