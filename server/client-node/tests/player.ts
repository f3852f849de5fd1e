// Makes the calls of the table of cases by the client.
import assert from "node:assert/strict";
import { Stockade, StockadeError, signWebhook } from "../src/index.js";

// biome-ignore lint/suspicious/noExplicitAny: the table gives calls what their types forbid, too
export type Answer = Record<string, any>;

export class Player {
    readonly shop: Stockade;
    readonly #url: string;

    constructor(url: string) {
        this.#url = url;
        // Refusals that pass are the table's own: no call is repeated.
        this.shop = new Stockade({ url, retries: 0 });
    }

    close(): Promise<void> {
        return this.shop.close();
    }

    async play(call: string, { key, ...args }: Answer): Promise<Answer> {
        const isKeyed = key !== undefined && call !== "remove_waiting_payment";
        const keyed = isKeyed ? { ...args, idempotency_key: key } : key ? { ...args, key } : args;
        const make = this.#calls()[call];
        if (make === undefined) throw new Error(`${call} cannot be called`);
        return make(keyed);
    }

    #calls(): Record<string, (args: Answer) => Promise<Answer>> {
        const shop = this.shop;
        // The table's arguments fit no type: they are what a request may bring.
        const calls = shop as unknown as Record<string, (args: Answer) => Promise<Answer>>;
        const hold = (name: string) => async (args: Answer) =>
            within("hold", await calls[name]?.(args));
        const order = (name: string) => async (args: Answer) =>
            within("order", await calls[name]?.(args));
        const whole = (name: string) => async (args: Answer) => (await calls[name]?.(args)) ?? {};
        const pages = (name: "listHolds" | "listOrders") => async (args: Answer) => ({
            items: await gather(shop.all(name, args)),
        });
        return {
            product: whole("getProduct"),
            create_product: whole("createProduct"),
            put_product: ({ product, ...args }) => whole("putProduct")({ ...args, id: product }),
            change_product: ({ product, ...args }) =>
                whole("changeProduct")({ ...args, id: product }),
            adjust_stock: ({ product_id, ...args }) =>
                whole("adjustStock")({ ...args, id: product_id }),
            create_hold: hold("hold"),
            create_holds: whole("holdCart"),
            create_hold_batch: ({ requests }) => this.#batch(requests),
            hold: hold("getHold"),
            release_hold: hold("releaseHold"),
            extend_hold: hold("extendHold"),
            change_quantity: hold("changeQuantity"),
            cart: whole("getCart"),
            release_cart: whole("releaseCart"),
            extend_cart: whole("extendCart"),
            create_order: (args) => order("holds" in args ? "orderHolds" : "order")(args),
            order: order("getOrder"),
            extend_order: order("extendOrder"),
            cancel_order: order("cancelOrder"),
            refund_order: order("refundOrder"),
            restock_order: order("restockOrder"),
            set_payment_reference: order("setPaymentReference"),
            record_payment: (args) => this.#payment(args),
            holds: pages("listHolds"),
            orders: pages("listOrders"),
            waiting_payments: async ({ order_id }) => {
                const all = await gather(shop.all("listWaitingPayments", { limit: 1 }));
                return { items: all.filter((one) => one.order_id === order_id) };
            },
            remove_waiting_payment: whole("removeWaitingPayment"),
            erase_customer: whole("eraseCustomer"),
            sweep: whole("sweep"),
            events: async ({ product_id }) => {
                const all = await gather(shop.events({ follow: false }));
                const own = all.filter((event) => event.product_id === product_id);
                return { types: own.map((event) => event.type) };
            },
        };
    }

    async #batch(requests: Answer[]): Promise<Answer> {
        const lines = requests.map(({ key, ...request }) => ({ ...request, idempotency_key: key }));
        const answers = await gather(this.shop.holdBatch(lines as never));
        const results = answers.map((line) => ({
            ...(line.success ? line.hold : line),
            code: line.success ? "" : line.code,
            replayed: line.replayed ?? false,
        }));
        return { results };
    }

    async #payment({ signed, ...event }: Answer): Promise<Answer> {
        if (signed === undefined) return wordOf(await this.shop.recordPayment(event as never));
        // A signature of another secret or age than the client's.
        const body = JSON.stringify(event);
        const at = Date.now() - (signed.age ?? 0) * 1000;
        const response = await fetch(`${this.#url}/api/payments/webhook`, {
            method: "POST",
            body,
            headers: { "stockade-signature": signWebhook(body, signed.secret, at) },
        });
        const text = await response.text();
        if (!response.ok) throw StockadeError.ofAnswer(response.status, response.headers, text);
        return wordOf(JSON.parse(text));
    }
}

function wordOf({ message, result }: Answer): Answer {
    assert.equal(message, "ok");
    return { status: result, replayed: result === "repeated" };
}

function within(name: string, answer: Answer | undefined): Answer {
    return { ...answer?.[name], replayed: answer?.replayed };
}

/** Reads an iterable to its end. */
export async function gather<One>(found: AsyncIterable<One>): Promise<One[]> {
    const all: One[] = [];
    for await (const one of found) all.push(one);
    return all;
}
