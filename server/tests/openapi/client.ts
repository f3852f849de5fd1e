// Holds and orders by openapi-fetch with the types of openapi-typescript.
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

declare const process: { argv: string[] };

const shop = createClient<paths>({ baseUrl: process.argv[2] });
const made = await shop.POST("/api/holds/{product_id}/{quantity}", {
    params: { path: { product_id: 1, quantity: 1 } },
    body: { ttl: 60 },
});
if (made.data === undefined) throw new Error(JSON.stringify(made.error));
// Both are texts by their types: neither may be missing.
const token: string = made.data.hold.token;
const ordered = await shop.POST("/api/orders/{hold_id}/{product_id}", {
    params: { path: { hold_id: made.data.hold.id, product_id: 1 }, header: { "Hold-Token": token } },
});
if (ordered.data === undefined) throw new Error(JSON.stringify(ordered.error));
const paymentToken: string = ordered.data.order.payment_token;
if (!/^[0-9a-f]{32}$/.test(token) || !/^pt_\d+_[0-9a-f]{32}$/.test(paymentToken)) {
    throw new Error(`${token} ${paymentToken}`);
}
