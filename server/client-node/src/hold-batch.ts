import { randomUUID } from "node:crypto";
import { StockadeError } from "./error.js";
import type { components } from "./generated/schema.js";

/** A request of a batch. */
export type HoldLineRequest = components["schemas"]["HoldLine"];

/** The answer to a request of a batch: `success` tells a hold from a refusal. */
export type HoldLineAnswer =
    | (components["schemas"]["HoldLineMade"] & { success: true })
    | (components["schemas"]["HoldLineRefused"] & { success: false });

/** Requests sent at once: their answers fit in memory, and each part can be repeated. */
const PART = 1000;

/** Requests as parts of JSON Lines, each with a key, so that a part can be sent again. */
export async function* sliceLines(
    requests: Iterable<HoldLineRequest> | AsyncIterable<HoldLineRequest>,
): AsyncGenerator<string[], void, undefined> {
    let lines: string[] = [];
    for await (const request of requests) {
        const key = request.idempotency_key ?? randomUUID();
        lines.push(`${JSON.stringify({ ...request, idempotency_key: key })}\n`);
        if (lines.length === PART) {
            yield lines;
            lines = [];
        }
    }
    if (lines.length > 0) yield lines;
}

/** The answers to a part. */
export function readBatch(text: string, count: number): HoldLineAnswer[] {
    const lines = text.split("\n").filter((line) => line !== "");
    if (lines.length !== count) {
        const message = `${lines.length} of ${count} requests were answered; repeat with their keys`;
        throw new StockadeError("unavailable", message);
    }
    return lines.map((line) => JSON.parse(line) as HoldLineAnswer);
}
