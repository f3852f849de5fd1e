// Calls the HTTP API, with the API key if one was entered.

const KEY = "stockade-api-key";
const TIMEOUT = 20000;

/** What the server refused, in its own words. */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem?.message ?? problem?.detail ?? `The server answered ${status}.`);
    this.status = status;
    this.code = problem?.code;
  }
}

/** That no answer came. */
export class Unreachable extends Error {
  constructor() {
    super("The server did not answer. What you asked for may have been done; ask again to be sure.");
  }
}

export const key = () => sessionStorage.getItem(KEY);
export function setKey(secret) {
  if (secret) sessionStorage.setItem(KEY, secret);
  else sessionStorage.removeItem(KEY);
}

/** Called with a refusal that another API key would avoid. */
export const locked = { listener: () => {} };

/** Sends a request and returns the response, whatever its status. */
export function send(method, path, { body, headers = {}, signal } = {}) {
  const secret = key();
  return fetch(path, {
    method,
    signal,
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
    headers: {
      ...headers,
      ...(secret ? { authorization: `Bearer ${secret}` } : {}),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
}

/** Returns the refusal of a response. */
export async function refusal(response) {
  const problem = await response.json().catch(() => undefined);
  return new Refusal(response.status, problem);
}

/** Sends a request and returns the JSON of its answer. */
export async function call(method, path, body, headers) {
  let response;
  try {
    response = await send(method, path, { body, headers, signal: AbortSignal.timeout(TIMEOUT) });
  } catch {
    throw new Unreachable();
  }
  if (!response.ok) {
    const error = await refusal(response);
    if (response.status === 401) locked.listener(error);
    throw error;
  }
  return response.json();
}

export const get = (path) => call("GET", path);

/** Returns a path with a query; parameters without a value are left out. */
export function query(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== "");
  const pairs = given.map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return pairs.length > 0 ? `${path}?${pairs.join("&")}` : path;
}

/**
 * Reads a list until `wanted` items are found or `pages` were read: a page may be short
 * and not be the last. Returns the items and where the next page begins.
 */
export async function list(path, parameters, wanted, pages = 4) {
  const items = [];
  let after = parameters.after;
  for (let page = 0; page < pages; page += 1) {
    const answer = await get(query(path, { limit: wanted, ...parameters, after }));
    items.push(...answer.items);
    after = answer.next ?? undefined;
    if (after === undefined || items.length >= wanted) break;
  }
  return { items, next: after };
}

/** Draws an idempotency key. */
export function drawKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `control-room-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
