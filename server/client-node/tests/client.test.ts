// What the client does beyond the table of cases: keys, retries, sockets, events, errors.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import {
    isStockadeError,
    Stockade,
    StockadeError,
    signWebhook,
    verifyWebhook,
} from "../src/index.js";
import { gather } from "./player.js";
import { losing, Server } from "./server.js";

const SECRETS = {
    api_key: "operator-of-the-tests",
    webhook_secret: "webhooks-of-the-tests",
};

describe("on one server", () => {
    let server: Server;
    let shop: Stockade;
    before(async () => {
        server = await Server.start();
        shop = new Stockade(server.url);
    });
    after(async () => {
        await shop.close();
        await server.stop();
    });

    const product = (stock: number, sku?: string) =>
        shop.createProduct({ name: "Lamp", price: "19.99", stock, ...(sku ? { sku } : {}) });

    test("a retried call has the same key, and is executed once", async () => {
        const lamp = await product(5);
        const proxy = await losing(server.url, 2);
        const far = new Stockade({ url: proxy.url, connections: 1 });
        const made = await far.hold({ product_id: lamp.id, quantity: 2 });
        await far.close();
        proxy.stop();
        assert.equal(proxy.keys.length, 3);
        assert.equal(new Set(proxy.keys).size, 1);
        assert.equal(made.replayed, true);
        assert.equal((await shop.getProduct({ id: lamp.id })).stock, 3);
    });

    test("the caller's key makes two calls one", async () => {
        const lamp = await product(5);
        const args = { product_id: lamp.id, quantity: 1, idempotency_key: `cart-${lamp.id}` };
        const [first, second] = [await shop.hold(args), await shop.hold(args)];
        assert.deepEqual([first.replayed, second.replayed], [false, true]);
        assert.equal(second.hold.token, first.hold.token);
        const other = await shop.hold({ ...args, idempotency_key: undefined });
        assert.notEqual(other.hold.id, first.hold.id);
    });

    test("a change with a version is not sent again after its answer was lost", async () => {
        const lamp = await product(5);
        const proxy = await losing(server.url, 1);
        const far = new Stockade(proxy.url);
        const change = { id: lamp.id, version: lamp.version, name: "Desk lamp" };
        await assert.rejects(far.changeProduct(change), { code: "unavailable", status: undefined });
        await far.close();
        proxy.stop();
        assert.equal((await shop.getProduct({ id: lamp.id })).name, "Desk lamp");
        await assert.rejects(shop.changeProduct(change), { code: "version_mismatch", status: 412 });
    });

    test("a SKU with a slash names a product in a path", async () => {
        const lamp = await product(5, "LAMP/1 é");
        const found = await shop.getProduct({ id: "sku:LAMP/1 é" });
        assert.equal(found.id, lamp.id);
        const { hold } = await shop.hold({ product_id: "sku:LAMP/1 é", quantity: "2" });
        assert.equal(hold.qty, 2);
    });

    test("a refusal has its code and its fields", async () => {
        const lamp = await product(1);
        const refusal = await shop.hold({ product_id: lamp.id, quantity: 3 }).catch((e) => e);
        assert.ok(isStockadeError(refusal, "insufficient_stock"));
        assert.ok(!isStockadeError(refusal, "not_found"));
        assert.ok(refusal instanceof StockadeError);
        assert.deepEqual([refusal.status, refusal.available], [409, 1]);
        assert.deepEqual(refusal.short, [{ product_id: lamp.id, requested: 3, available: 1 }]);
        assert.match(refusal.requestId ?? "", /\S/);
        const { hold } = await shop.hold({ product_id: lamp.id, quantity: 1 });
        const { order } = await shop.order({ hold_id: hold.id, product_id: lamp.id });
        const again = shop.order({ hold_id: hold.id, product_id: lamp.id });
        await assert.rejects(again, { code: "hold_already_used", orderId: order.id });
    });

    test("a cart becomes an order, and a payment settles it", async () => {
        const [lamp, bulb] = [await product(5), await product(5)];
        const items = [lamp, bulb].map(({ id }) => ({ product_id: id, quantity: 2 }));
        const cart = await shop.holdCart({ items, ttl: 60 });
        const { order } = await shop.orderHolds({ cart_id: cart.cart_id, token: cart.token });
        assert.equal(order.lines.length, 2);
        const paid = { order_id: order.id, status: "paid", idempotency_key: `paid-${order.id}` };
        assert.equal((await shop.recordPayment(paid)).result, "applied");
        assert.equal((await shop.recordPayment(paid)).result, "repeated");
        assert.equal((await shop.getOrder({ id: order.id })).order.status, "paid");
    });

    test("PUT tells whether it made the product", async () => {
        const args = { id: "sku:PUT-1", name: "Lamp", price: 5 };
        assert.equal((await shop.putProduct(args)).created, true);
        assert.equal((await shop.putProduct(args)).created, false);
    });

    test("a batch of more than one part is answered in order", async () => {
        const lamp = await product(1100);
        const requests = function* () {
            for (let n = 0; n < 1200; n += 1) yield { product_id: lamp.id, quantity: 1 };
        };
        const answers = await gather(shop.holdBatch(requests()));
        assert.equal(answers.length, 1200);
        assert.ok(answers.slice(0, 1100).every((line) => line.success && line.hold.qty === 1));
        const refused = answers.slice(1100);
        assert.ok(refused.every((line) => !line.success && line.code === "insufficient_stock"));
    });

    test("events come in order, follow what is written, and end with the signal", async () => {
        const lamp = await product(3);
        const stop = new AbortController();
        const kinds: string[] = [];
        for await (const event of shop.events({ interval: 5, limit: 2, signal: stop.signal })) {
            if (event.product_id !== lamp.id) continue;
            kinds.push(event.type);
            // Not until the reader has caught up is there anything more to read.
            if (event.type === "stock.adjusted") {
                await shop.hold({ product_id: lamp.id, quantity: 1 });
            }
            if (event.type === "hold.created") stop.abort();
        }
        assert.deepEqual(kinds, ["product.created", "stock.adjusted", "hold.created"]);
    });

    test("all() reads every page", async () => {
        const lamp = await product(5);
        for (let n = 0; n < 5; n += 1) await shop.hold({ product_id: lamp.id, quantity: 1 });
        const filter = { product_id: lamp.id, limit: 2 };
        const holds = await gather(shop.all("listHolds", filter));
        assert.equal(new Set(holds.map(({ id }) => id)).size, 5);
    });

    test("the caller's abort and time limit end a call", async () => {
        const reason = new Error("the buyer left");
        const signal = AbortSignal.abort(reason);
        await assert.rejects(shop.getProduct({ id: 1 }, { signal }), reason);
        // A server that accepts and never answers: the proxy loses everything.
        const proxy = await losing(server.url, Number.POSITIVE_INFINITY);
        const far = new Stockade({ url: proxy.url, retries: 1 });
        await assert.rejects(far.getProduct({ id: 1 }), { code: "unavailable" });
        await assert.rejects(far.getProduct({ id: 1 }, { timeout: 0, retries: 0 }), {
            code: "unavailable",
            message: /no answer came in time/,
        });
        await far.close();
        proxy.stop();
    });

    test("api takes every path of the document", async () => {
        const found = await shop.api.GET("/api/products/{id}", { params: { path: { id: 0 } } });
        assert.equal(found.error?.code, "not_found");
        assert.match(await shop.metrics(), /stockade_requests/);
    });
});

test("a server that is out of reach is unavailable", async () => {
    const server = await Server.start();
    await server.stop();
    await using shop = new Stockade({ url: server.url, retries: 1 });
    await assert.rejects(shop.getProduct({ id: 1 }), (error) => {
        assert.ok(isStockadeError(error, "unavailable"));
        assert.match(error.message, /ECONNREFUSED/);
        return true;
    });
});

test("a rate limit is waited for, and told if the client may not", async () => {
    const server = await Server.start({ rate_limit_address: "1/s" });
    await using shop = new Stockade(server.url);
    const read = () => shop.listProducts();
    await Promise.all([read(), read()]);
    const refused = await shop.listProducts({}, { retries: 0 }).catch((error) => error);
    assert.ok(isStockadeError(refused, "rate_limited"));
    assert.ok((refused.retryAfter ?? 0) >= 1);
    await server.stop();
});

test("the proxy's socket file, an API key and signed events", async () => {
    const server = await Server.start({ ...SECRETS, unix_http: "FOLDER/http.sock" });
    const url = `unix://${path.join(server.folder, "http.sock")}`;
    const { api_key: apiKey, webhook_secret: webhookSecret } = SECRETS;
    await using shop = new Stockade({ url, apiKey, webhookSecret });
    const lamp = await shop.createProduct({ name: "Lamp", price: "19.99", stock: 5 });
    const { hold } = await shop.hold({ product_id: lamp.id, quantity: 2 });
    const { order } = await shop.order({ hold_id: hold.id, product_id: lamp.id });
    const paid = { order_id: order.id, status: "paid", idempotency_key: "evt-1" };
    await using stranger = new Stockade({ url, webhookSecret: "another-secret" });
    await assert.rejects(stranger.recordPayment(paid), { code: "unauthorized" });
    await assert.rejects(stranger.audit(), { code: "unauthorized", status: 401 });
    assert.equal((await shop.recordPayment(paid)).result, "applied");
    assert.equal((await shop.audit()).consistent, true);
    await server.stop();
});

test("a signature is checked by secret, body and time", () => {
    const now = Date.UTC(2026, 0, 1);
    const signature = signWebhook("{}", "new", now);
    assert.match(signature, /^t=1767225600,v1=[0-9a-f]{64}$/);
    assert.equal(verifyWebhook("{}", signature, "new", now), true);
    assert.equal(verifyWebhook("{}", signWebhook("{}", "old", now), "new,old", now), true);
    assert.equal(verifyWebhook("{ }", signature, "new", now), false);
    assert.equal(verifyWebhook("{}", signature, "old", now), false);
    assert.equal(verifyWebhook("{}", signature, "new", now + 301_000), false);
    assert.equal(verifyWebhook("{}", null, "new", now), false);
    assert.throws(() => signWebhook("{}", ""), TypeError);
});

test("an address of another kind is refused with what to write", () => {
    assert.throws(() => new Stockade("redis://127.0.0.1"), /http:\/\/…, https:\/\/… or unix/);
});
