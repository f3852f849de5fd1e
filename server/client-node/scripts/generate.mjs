// Generates the types of the OpenAPI document, and one typed call for each operation
// whose bodies are JSON: an endpoint that the document gains is a call of the client.
//
//     node scripts/generate.mjs DOCUMENT FOLDER
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";
import openapiTS, { astToString } from "openapi-typescript";
import { parse } from "yaml";

const [source, folder] = process.argv.slice(2).map((name) => path.resolve(name));
const document = parse(await readFile(source, "utf8"));

/** Operations that `src/client.ts` calls itself: what they take or answer is more than JSON. */
const BY_HAND = new Set(["holdBatch", "paymentWebhook", "providerWebhook", "metrics"]);
/** POST and PATCH that a client may repeat without a key: the second has no effect. */
const REPEATABLE = new Set([
    "extendHold",
    "extendCart",
    "extendOrder",
    "cancelOrder",
    "setPaymentReference",
    "changeProduct",
    "eraseCustomer",
    "sweep",
]);
const METHODS = ["get", "put", "post", "delete", "patch"];

function resolve(node) {
    if (node?.$ref === undefined) return node;
    return node.$ref
        .slice(2)
        .split("/")
        .reduce((part, name) => part[name], document);
}

/** Whether a schema, or one of its alternatives, has a property. */
function hasProperty(schema, name) {
    const { properties = {}, oneOf = [], anyOf = [], allOf = [] } = resolve(schema) ?? {};
    return name in properties || [oneOf, anyOf, allOf].flat().some((one) => hasProperty(one, name));
}

function* operations() {
    for (const [route, item] of Object.entries(document.paths)) {
        for (const method of METHODS) {
            const operation = item[method];
            if (operation === undefined || BY_HAND.has(operation.operationId)) continue;
            if (operation.tags?.includes("engines")) continue;
            const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])];
            yield describe(route, method, operation, parameters.map(resolve));
        }
    }
}

function describe(route, method, operation, parameters) {
    const named = (name) => parameters.some((one) => one.in === "header" && one.name === name);
    const body = resolve(operation.requestBody);
    const schema = body?.content?.["application/json"]?.schema;
    const isKeyed = named("Idempotency-Key");
    return {
        id: operation.operationId,
        doc: documentation(operation, `${method.toUpperCase()} ${route}`),
        // Required: a parameter of the path or query, a body, or one field of the body.
        needsArgs: body?.required === true || parameters.some((one) => one.required),
        call: {
            method: method.toUpperCase(),
            path: route,
            inPath: parameters.filter((one) => one.in === "path").map((one) => one.name),
            takesBody: body !== undefined,
            isKeyed,
            takesToken: named("Hold-Token") && !hasProperty(schema, "token"),
            takesVersion: named("If-Match") && !hasProperty(schema, "version"),
            isRepeatable:
                method !== "post" && method !== "patch"
                    ? true
                    : isKeyed || REPEATABLE.has(operation.operationId),
        },
    };
}

/** A doc comment: summary, description, the path, the codes of refusals. */
function documentation({ summary, description, responses }, route) {
    const refusals = Object.entries(responses)
        .filter(([status]) => !status.startsWith("2"))
        .flatMap(([, response]) => response["x-codes"] ?? resolve(response)["x-codes"] ?? []);
    const lines = [
        `${summary}.`,
        "",
        ...(description ?? "").trim().split("\n"),
        "",
        `\`${route}\``,
    ];
    if (refusals.length > 0) {
        lines.push("", `@throws StockadeError ${[...new Set(refusals)].join(", ")}`);
    }
    const text = lines
        .join("\n")
        .replaceAll("*/", "*\\/")
        .replace(/\n{3,}/g, "\n\n");
    return text
        .split("\n")
        .map((line) => `     * ${line}`.trimEnd())
        .join("\n");
}

const found = [...operations()];
const signatures = found.map(
    ({ id, doc, needsArgs }) =>
        `    /**\n${doc}\n     */\n` +
        `    ${id}(args${needsArgs ? "" : "?"}: Args<"${id}">, options?: CallOptions): Promise<Result<"${id}">>;`,
);
const table = found.map(({ id, call }) => `    ${id}: ${JSON.stringify(call)},`);
const calls = `// Made of the OpenAPI document by scripts/generate.mjs.
import type { Args, CallOptions, Operation, Result } from "../operation.js";

/** The calls of the API, one for each operation of the OpenAPI document. */
export interface Calls {
${signatures.join("\n")}
}

/** How each call is sent. */
export const CALLS: { readonly [K in keyof Calls]: Operation } = {
${table.join("\n")}
};
`;

await mkdir(folder, { recursive: true });
const types = astToString(await openapiTS(pathToFileURL(source), { emptyObjectsUnknown: true }));
await writeFile(path.join(folder, "schema.ts"), types);
await writeFile(path.join(folder, "calls.ts"), calls);
