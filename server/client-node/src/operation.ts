import type { operations } from "./generated/schema.js";

/** How a call is sent; made of the OpenAPI document. */
export interface Operation {
    /** The HTTP method. */
    readonly method: "GET" | "PUT" | "POST" | "DELETE" | "PATCH";
    /** The path, with `{names}`. */
    readonly path: string;
    /** The arguments that stand in the path. */
    readonly inPath: readonly string[];
    /** Whether the other arguments are the body; else they are the query. */
    readonly takesBody: boolean;
    /** Whether it takes an idempotency key. */
    readonly isKeyed: boolean;
    /** Whether `token` is sent as a header. */
    readonly takesToken: boolean;
    /** Whether `version` is sent as `If-Match`. */
    readonly takesVersion: boolean;
    /** Whether it may be sent again after its answer was lost. */
    readonly isRepeatable: boolean;
}

/** What applies to one call alone. */
export interface CallOptions {
    /** Aborts the call, retries included. */
    signal?: AbortSignal;
    /** Milliseconds that each attempt may take, in place of the client's. */
    timeout?: number;
    /** Attempts after the first, in place of the client's. */
    retries?: number;
}

type Id = keyof operations;
type Parameters<K extends Id> = operations[K]["parameters"];
type In<K extends Id, Place extends string> =
    Parameters<K> extends { [P in Place]?: infer Found } ? OrNothing<NonNullable<Found>> : Nothing;
/** `never` has every key, and a place without parameters has none. */
type OrNothing<Found> = [Found] extends [never] ? Nothing : Found;
type Has<K extends Id, Header extends string> = Header extends keyof In<K, "header"> ? true : false;
type Nothing = Record<never, never>;

/** Ids and quantities may be given as they came in a request: the server reads them. */
type InPath<K extends Id> = { [Name in keyof In<K, "path">]: string | number };
type Body<K extends Id> = operations[K] extends { requestBody?: infer B }
    ? NonNullable<B> extends { content: { "application/json": infer Json } }
        ? Json
        : never
    : never;
type Rest<K extends Id> = [Body<K>] extends [never] ? In<K, "query"> : Body<K>;
type Key<K extends Id> =
    Has<K, "Idempotency-Key"> extends true
        ? {
              /** Makes the call safe to repeat. Default: a UUID, the same for all retries. */
              idempotency_key?: string | undefined;
          }
        : Nothing;
type Token<K extends Id> =
    Has<K, "Hold-Token"> extends true
        ? {
              /** The token of the hold, or of its cart. */
              token?: string | null | undefined;
          }
        : Nothing;
type Version<K extends Id> =
    Has<K, "If-Match"> extends true
        ? {
              /** The version of the product that the call refuses to differ from. */
              version?: number | null | undefined;
          }
        : Nothing;

/** The arguments of a call: those of its path, and of its body or query. */
export type Args<K extends Id> = InPath<K> & Rest<K> & Key<K> & Token<K> & Version<K>;

type Json<R> = R extends { content: { "application/json": infer Found } } ? Found : never;
type At<R, Status> = Status extends keyof R ? Json<R[Status]> : never;
type Answer<K extends Id> = At<operations[K]["responses"], 200 | 201 | 202>;

/** The answer to a call: its JSON, and what the headers and the status say besides. */
export type Result<K extends Id> = Answer<K> &
    (Has<K, "Idempotency-Key"> extends true
        ? {
              /** Whether it repeats the answer to an earlier request with the same key. */
              replayed: boolean;
          }
        : Nothing) &
    (200 | 201 extends keyof operations[K]["responses"]
        ? {
              /** Whether the call made it; else it was there. */
              created: boolean;
          }
        : Nothing);

/** The shape of a call in general; `client.ts` sends all calls by it. */
export type AnyArgs = Readonly<Record<string, unknown>>;
