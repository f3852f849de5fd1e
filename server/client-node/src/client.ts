import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import createFetchClient, { type Client } from "openapi-fetch";
import { StockadeError } from "./error.js";
import { CALLS, type Calls } from "./generated/calls.js";
import type { components, paths } from "./generated/schema.js";
import { type HoldLineAnswer, type HoldLineRequest, readBatch, sliceLines } from "./hold-batch.js";
import type { AnyArgs, Args, CallOptions, Operation, Result } from "./operation.js";
import { signWebhook } from "./signature.js";
import { Transport, type TransportOptions } from "./transport.js";

/** Where the server is, and what the client shows it. */
export interface StockadeOptions extends TransportOptions {
    /** The secret of an API key. */
    apiKey?: string;
    /** Signs payment events; of several separated by commas, the first does. */
    webhookSecret?: string;
}

/** A payment event, as `recordPayment` sends it. */
export type PaymentEvent = components["schemas"]["PaymentEvent"];

/** The answer to a payment event. */
export type PaymentResult = components["schemas"]["Taken"];

/** An event of the outbox. */
export type StockadeEvent = components["schemas"]["Event"];

/** Which events to read. */
export interface EventOptions extends CallOptions {
    /** The cursor of the last event that was processed. Default: 0, from the first event kept. */
    after?: number;
    /** Events a page. Default: 1,000. */
    limit?: number;
    /** Whether to wait for further events. Default: true. */
    follow?: boolean;
    /** Milliseconds between two looks when there is no event. Default: 1,000. */
    interval?: number;
}

/** The names of calls that answer with pages of `items`. */
export type ListCall = {
    [K in keyof Calls]: Result<K> extends { items: unknown[]; next: number | string | null }
        ? K
        : never;
}[keyof Calls];
type Item<K extends ListCall> = Result<K> extends { items: (infer One)[] } ? One : never;

/**
 * A client of a Stockade server. It keeps connections open: make one for the process,
 * and close it at the end.
 *
 * A refusal, and a server out of reach, is a `StockadeError` with a stable code. Passing
 * failures are retried where that is safe; every call that makes something has an
 * idempotency key, which all of its attempts share.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the static block defines all of `Calls`
export class Stockade {
    /**
     * The whole document by path, as openapi-fetch has it: it returns `data` or `error`
     * and throws only if no answer came.
     */
    readonly api: Client<paths>;
    readonly #transport: Transport;
    readonly #webhookSecret: string | undefined;

    /** Makes a client, and connects at the first call. A text is the `url`. */
    constructor(options: StockadeOptions | string) {
        const all = typeof options === "string" ? { url: options } : options;
        this.#transport = new Transport(all);
        this.#webhookSecret = all.webhookSecret;
        const { apiKey } = all;
        this.api = createFetchClient<paths>({
            baseUrl: this.#transport.baseUrl,
            headers: apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` },
            fetch: (request) => this.#transport.send(request, isSafe(request), {}),
        });
    }

    /** Closes the connections when the calls in flight are answered. */
    close(): Promise<void> {
        return this.#transport.close();
    }

    /** Closes the client at the end of `await using`. */
    [Symbol.asyncDispose](): Promise<void> {
        return this.close();
    }

    /**
     * Reports the outcome of a payment, signed where the client has a webhook secret.
     * An event that was sent before has no effect: `result` is `repeated`.
     *
     * `POST /api/payments/webhook`
     *
     * @throws StockadeError unauthorized, not_found, invalid_argument, idempotency_mismatch, contention, unavailable
     */
    async recordPayment(event: PaymentEvent, options: CallOptions = {}): Promise<PaymentResult> {
        const body = JSON.stringify(event);
        const headers: Record<string, string> = { "content-type": "application/json" };
        if (this.#webhookSecret !== undefined) {
            headers["stockade-signature"] = signWebhook(body, this.#webhookSecret);
        }
        const answer = await this.#post("/api/payments/webhook", body, headers, options);
        return (await answer.json()) as PaymentResult;
    }

    /**
     * Holds for many requests, each on its own: one answer for each, in the same order. They are
     * sent in parts of 1,000; a request without an `idempotency_key` is given one.
     *
     * `POST /api/holds/batch`
     *
     * @throws StockadeError unauthorized, forbidden, rate_limited, contention, unavailable
     */
    async *holdBatch(
        requests: Iterable<HoldLineRequest> | AsyncIterable<HoldLineRequest>,
        options: CallOptions = {},
    ): AsyncGenerator<HoldLineAnswer, void, undefined> {
        const headers = { "content-type": "application/jsonl" };
        for await (const lines of sliceLines(requests)) {
            const body = lines.join("");
            const answer = await this.#post("/api/holds/batch", body, headers, options);
            yield* readBatch(await answer.text(), lines.length);
        }
    }

    /**
     * Every item of a list, page after page:
     * `for await (const order of shop.all("listOrders", { status: "paid" }))`.
     */
    async *all<K extends ListCall>(
        call: K,
        args?: Args<K>,
        options: CallOptions = {},
    ): AsyncGenerator<Item<K>, void, undefined> {
        let query: AnyArgs = { ...args };
        for (;;) {
            const page = (await this.#call(CALLS[call], query, options)) as Page<Item<K>>;
            yield* page.items;
            if (page.next === null) return;
            query = { ...query, after: page.next };
        }
    }

    /**
     * The events of the outbox, in order, and then further ones as they come. Store the `cursor`
     * of each event that was processed, and go on after it: events are delivered at least once.
     * An aborted `signal` ends the iteration.
     *
     * `GET /api/admin/events`
     */
    async *events(options: EventOptions = {}): AsyncGenerator<StockadeEvent, void, undefined> {
        const { limit = 1000, follow = true, interval = 1000, ...call } = options;
        const { signal } = call;
        let after = options.after ?? 0;
        try {
            for (;;) {
                const args = { after, limit };
                const page = (await this.#call(CALLS.listEvents, args, call)) as EventPage;
                yield* page.events;
                if (page.events.length === 0) {
                    if (!follow) return;
                    await sleep(interval, undefined, signal ? { signal } : {});
                } else {
                    after = page.next;
                }
            }
        } catch (error) {
            if (!signal?.aborted || error instanceof StockadeError) throw error;
        }
    }

    /** The metrics of the server, as OpenMetrics. */
    async metrics(options: CallOptions = {}): Promise<string> {
        const request = new Request(`${this.#transport.baseUrl}/metrics`);
        const answer = await this.#transport.send(request, true, options);
        const text = await answer.text();
        if (!answer.ok) throw StockadeError.ofAnswer(answer.status, answer.headers, text);
        return text;
    }

    /** Sends a call of the table. */
    async #call(operation: Operation, args: AnyArgs, options: CallOptions): Promise<unknown> {
        const { path, headers, rest } = sort(operation, args);
        const send: LooseRequest = this.api.request.bind(this.api) as never;
        const { data, error, response } = await send(operation.method, operation.path, {
            params: { path, ...(operation.takesBody ? {} : { query: rest }) },
            ...(operation.takesBody ? { body: rest } : {}),
            headers,
            parseAs: "text",
            fetch: (request: Request) => {
                // What `If-Match` allowed once it refuses after that.
                const isOnce = headers["if-match"] !== undefined && !operation.isKeyed;
                return this.#transport.send(request, operation.isRepeatable && !isOnce, options);
            },
        });
        if (!response.ok) {
            const text = typeof error === "string" ? error : JSON.stringify(error);
            throw StockadeError.ofAnswer(response.status, response.headers, text);
        }
        const answer = JSON.parse(data ?? "null");
        if (operation.isKeyed) answer.replayed = isReplayed(response);
        if (operation.method === "PUT") answer.created = response.status === 201;
        return answer;
    }

    /** Sends a body that is signed or is no JSON. */
    async #post(
        path: string,
        body: string,
        headers: Record<string, string>,
        options: CallOptions,
    ): Promise<Response> {
        const { data, error, response } = await (this.api.POST as unknown as LoosePost)(path, {
            body,
            bodySerializer: (text: string) => text,
            headers,
            parseAs: "text",
            fetch: (request: Request) => this.#transport.send(request, true, options),
        });
        if (!response.ok) {
            const text = typeof error === "string" ? error : JSON.stringify(error);
            throw StockadeError.ofAnswer(response.status, response.headers, text);
        }
        return new Response(data, { headers: response.headers });
    }

    static {
        for (const [name, operation] of Object.entries(CALLS)) {
            Object.defineProperty(Stockade.prototype, name, {
                configurable: true,
                writable: true,
                value(this: Stockade, args: AnyArgs = {}, options: CallOptions = {}) {
                    return this.#call(operation, args, options);
                },
            });
        }
    }
}

// The calls of the document, which the static block defines.
export interface Stockade extends Calls {}

interface Page<One> {
    readonly items: One[];
    readonly next: number | string | null;
}
type EventPage = components["schemas"]["EventPage"];
interface Loose {
    readonly data?: string;
    readonly error?: unknown;
    readonly response: Response;
}
type LooseRequest = (method: string, path: string, init: object) => Promise<Loose>;
type LoosePost = (path: string, init: object) => Promise<Loose>;

/** Sorts arguments into path, headers and the rest. */
function sort(operation: Operation, args: AnyArgs) {
    const { idempotency_key, token, version, ...others } = args;
    const headers: Record<string, string> = {};
    const rest: Record<string, unknown> = { ...others };
    if (operation.isKeyed) headers["idempotency-key"] = String(idempotency_key ?? randomUUID());
    else if (idempotency_key !== undefined) rest.idempotency_key = idempotency_key;
    if (!operation.takesToken) put(rest, "token", token);
    else if (token != null) headers["hold-token"] = String(token);
    if (!operation.takesVersion) put(rest, "version", version);
    else if (version != null) headers["if-match"] = `"${version}"`;
    const path: Record<string, unknown> = {};
    for (const name of operation.inPath) {
        path[name] = rest[name];
        delete rest[name];
    }
    return { path, headers, rest };
}

function put(into: Record<string, unknown>, name: string, value: unknown): void {
    if (value !== undefined) into[name] = value;
}

/** Whether a request of `api` may be sent again after its answer was lost. */
function isSafe({ method, headers }: Request): boolean {
    if (headers.has("idempotency-key")) return true;
    return ["GET", "HEAD", "PUT", "DELETE"].includes(method) && !headers.has("if-match");
}

function isReplayed(response: Response): boolean {
    return response.headers.get("idempotent-replayed") === "true";
}
