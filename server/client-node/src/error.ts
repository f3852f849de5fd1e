import type { components } from "./generated/schema.js";

/** The stable codes of errors; `docs/http.md` says what each means. */
export type ErrorCode = components["schemas"]["ErrorCode"];

/** The body of a refusal, `application/problem+json`. */
export type Problem = components["schemas"]["Problem"];

/** What is known of a failed call besides its code and message. */
export interface ErrorDetails {
    /** The HTTP status; absent if no answer came. */
    status?: number | undefined;
    /** The body of the answer. */
    problem?: Problem | undefined;
    /** Seconds after which the server takes the request again. */
    retryAfter?: number | undefined;
    /** Whether the refusal repeats that of an earlier request with the same key. */
    replayed?: boolean;
    /** The fault of the network, if that is why. */
    cause?: unknown;
}

/**
 * A call that did not succeed. `code` is stable, `message` is for people.
 *
 * `unavailable` without a `status` means that no answer came: the call was executed whole
 * or not at all, and may be repeated with the same idempotency key.
 */
export class StockadeError extends Error {
    override readonly name = "StockadeError";
    /** The stable code. */
    readonly code: ErrorCode;
    /** The HTTP status; undefined if no answer came. */
    readonly status: number | undefined;
    /** The whole body of the refusal. */
    readonly problem: Problem | undefined;
    /** Seconds after which the server takes the request again. */
    readonly retryAfter: number | undefined;
    /** Whether the refusal repeats that of an earlier request with the same key. */
    readonly replayed: boolean;

    /** Makes an error; the client does. */
    constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
        super(message, details.cause === undefined ? undefined : { cause: details.cause });
        this.code = code;
        this.status = details.status;
        this.problem = details.problem;
        this.retryAfter = details.retryAfter;
        this.replayed = details.replayed ?? false;
    }

    /** Units that are left, of `insufficient_stock` with one short product. */
    get available(): number | undefined {
        return this.problem?.available;
    }

    /** Every short line, of `insufficient_stock`. */
    get short(): NonNullable<Problem["short"]> {
        return this.problem?.short ?? [];
    }

    /** The order that has the hold or the reference. */
    get orderId(): number | undefined {
        return this.problem?.order_id ?? undefined;
    }

    /** Holds that cannot be used, of an order. */
    get holds(): NonNullable<Problem["holds"]> {
        return this.problem?.holds ?? [];
    }

    /** Finds the server's log line. */
    get requestId(): string | undefined {
        return this.problem?.request_id;
    }

    /** Returns the error that an answer tells; `text` is its body. */
    static ofAnswer(status: number, headers: Headers, text: string): StockadeError {
        const problem = parseProblem(text);
        const details = {
            status,
            problem,
            retryAfter: seconds(headers.get("retry-after")),
            replayed: headers.get("idempotent-replayed") === "true",
        };
        if (problem !== undefined) {
            return new StockadeError(problem.code, problem.message, details);
        }
        // Not Stockade's own answer, but that of a proxy before it.
        const code = status >= 500 ? "unavailable" : "malformed_request";
        return new StockadeError(code, `the answer ${status} is no problem document`, details);
    }
}

/** Whether a value is an error of Stockade, with one of the given codes if any is named. */
export function isStockadeError<Code extends ErrorCode>(
    error: unknown,
    ...codes: Code[]
): error is StockadeError & { readonly code: Code } {
    return (
        error instanceof StockadeError &&
        (codes.length === 0 || (codes as ErrorCode[]).includes(error.code))
    );
}

function parseProblem(text: string): Problem | undefined {
    try {
        const found: unknown = JSON.parse(text);
        const isProblem = typeof found === "object" && found !== null && "code" in found;
        return isProblem ? (found as Problem) : undefined;
    } catch {
        return undefined;
    }
}

/** `Retry-After` as seconds; the server sends no dates. */
function seconds(header: string | null): number | undefined {
    return header !== null && /^\d+$/.test(header) ? Number(header) : undefined;
}
