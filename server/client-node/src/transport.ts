import { setTimeout as sleep } from "node:timers/promises";
import { Agent, fetch } from "undici";
import { StockadeError } from "./error.js";
import type { CallOptions } from "./operation.js";

/** Where the server is, and how long the client tries. */
export interface TransportOptions {
    /** `http://…`, `https://…`, or the file of the setting `unix_http`: `unix:///PATH`. */
    url: string;
    /** Milliseconds that each attempt may take. Default: 10,000. */
    timeout?: number;
    /** Attempts after the first. Default: 4. */
    retries?: number;
    /** Connections to the server at most; calls beyond them wait. Default: 64. */
    connections?: number;
    /** Certificates of a private authority, as PEM. */
    ca?: string;
}

/** The longest wait before a retry, in milliseconds: a longer `Retry-After` is left to the caller. */
const LONGEST_WAIT = 10_000;
/** The first wait without `Retry-After`; the next ones double. */
const FIRST_WAIT = 50;
/** Codes of requests that changed nothing: those of every call may be sent again. */
const UNCHANGED = ["contention", "rate_limited"];

/** Sends requests, and sends them again where that is safe. */
export class Transport {
    /** The base of all paths. */
    readonly baseUrl: string;
    readonly #agent: Agent;
    readonly #timeout: number;
    readonly #retries: number;

    constructor(options: TransportOptions) {
        const socketPath = socketOf(options.url);
        this.baseUrl = socketPath === undefined ? options.url : "http://localhost";
        this.#timeout = options.timeout ?? 10_000;
        this.#retries = options.retries ?? 4;
        this.#agent = new Agent({
            connections: options.connections ?? 64,
            connect: {
                ...(socketPath === undefined ? {} : { socketPath }),
                ...(options.ca === undefined ? {} : { ca: options.ca }),
            },
        });
    }

    /** Closes the connections when the requests in flight are answered. */
    close(): Promise<void> {
        return this.#agent.close();
    }

    /**
     * Sends a request until it is answered otherwise than by a passing failure. A request
     * that is not repeatable is sent again only if it is known to have changed nothing.
     */
    async send(request: Request, isRepeatable: boolean, options: CallOptions): Promise<Response> {
        const body = request.body === null ? undefined : await request.text();
        const retries = options.retries ?? this.#retries;
        for (let attempt = 0; ; attempt += 1) {
            const outcome = await this.#attempt(request, body, options);
            const failure = outcome instanceof StockadeError ? outcome : failureOf(outcome);
            const wait = failure && attempt < retries && waitBefore(failure, isRepeatable, attempt);
            if (typeof wait === "number") {
                await sleep(wait, undefined, options.signal ? { signal: options.signal } : {});
                continue;
            }
            if (outcome instanceof StockadeError) throw outcome;
            return new Response(outcome.text, { status: outcome.status, headers: outcome.headers });
        }
    }

    /** One attempt: the answer, or that none came. Throws the caller's own abort. */
    async #attempt(
        request: Request,
        body: string | undefined,
        options: CallOptions,
    ): Promise<Answer | StockadeError> {
        const limit = AbortSignal.timeout(options.timeout ?? this.#timeout);
        const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit;
        try {
            const response = await fetch(request.url, {
                method: request.method,
                headers: [...request.headers],
                ...(body === undefined ? {} : { body }),
                redirect: "error",
                dispatcher: this.#agent,
                signal,
            });
            const headers = new Headers([...response.headers]);
            return { status: response.status, headers, text: await response.text() };
        } catch (cause) {
            options.signal?.throwIfAborted();
            const why = limit.aborted ? "in time" : `(${reasonOf(cause)})`;
            const message = `no answer came ${why} from ${this.baseUrl}`;
            return new StockadeError("unavailable", message, { cause });
        }
    }
}

interface Answer {
    readonly status: number;
    readonly headers: Headers;
    readonly text: string;
}

function socketOf(url: string): string | undefined {
    const { protocol, pathname, host } = new URL(url);
    if (protocol === "http:" || protocol === "https:") return undefined;
    if (protocol !== "unix:" || host !== "" || pathname === "") {
        throw new TypeError(`url must be http://…, https://… or unix:///PATH, not ${protocol}`);
    }
    return decodeURIComponent(pathname);
}

/** The failure that an answer tells, if it may pass. */
function failureOf({ status, headers, text }: Answer): StockadeError | undefined {
    const mayPass = [408, 429, 502, 503, 504].includes(status);
    return mayPass ? StockadeError.ofAnswer(status, headers, text) : undefined;
}

/** Milliseconds to wait before the next attempt; undefined if there must be none. */
function waitBefore(
    failure: StockadeError,
    isRepeatable: boolean,
    attempt: number,
): number | undefined {
    if (!isRepeatable && !UNCHANGED.includes(failure.code)) return undefined;
    // Half of it is random, so that many clients do not come back together.
    const doubled = FIRST_WAIT * 2 ** attempt * (0.5 + Math.random() / 2);
    const wait = Math.max(doubled, (failure.retryAfter ?? 0) * 1000);
    return wait <= LONGEST_WAIT ? wait : undefined;
}

/** The words of the network's fault, which undici keeps as a cause. */
function reasonOf(error: unknown): string {
    const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return inner instanceof Error ? inner.message || inner.name : String(inner);
}
