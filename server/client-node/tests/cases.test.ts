// The shared table of cases, see engine/tests/cases.md, through the client.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { StockadeError } from "../src/index.js";
import { type Answer, Player } from "./player.js";
import { Server } from "./server.js";

interface Step {
    call: string;
    args?: Answer;
    code?: string;
    is?: Answer;
    later?: Answer;
    as?: string;
    until?: boolean;
}

interface Case {
    name: string;
    settings?: Record<string, string>;
    products?: Record<string, number>;
    faces?: string[];
    steps: Step[];
}

const table = new URL("../../../../engine/tests/cases.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(table, "utf8")) as { cases: Case[] };
/** Milliseconds that a step with `until` may take. */
const WITHIN = 10_000;

const ofHttp = cases.filter((one) => one.faces?.includes("http") ?? true);
assert.ok(ofHttp.length > 100, `only ${ofHttp.length} cases`);

describe("the table of cases", { concurrency: 2 }, () => {
    for (const one of ofHttp) test(one.name, () => play(one));
});

async function play(one: Case): Promise<void> {
    const server = await Server.start(one.settings);
    const player = new Player(server.url);
    try {
        const answers: Answer = {};
        for (const [name, stock] of Object.entries(one.products ?? {})) {
            answers[name] = await player.play("create_product", { name, price: "19.99", stock });
        }
        for (const [number, step] of one.steps.entries()) {
            const where = `step ${number}, ${step.call}`;
            const found = await take(player, step, answers, where);
            if (step.as !== undefined) answers[step.as] = found;
        }
        assert.equal((await player.shop.audit()).consistent, true);
    } finally {
        await player.close();
        await server.stop();
    }
}

async function take(player: Player, step: Step, answers: Answer, where: string): Promise<Answer> {
    const end = Date.now() + WITHIN;
    for (;;) {
        const found = await outcome(player, step.call, resolve(answers, step.args ?? {}) as Answer);
        try {
            assert.equal(found.code || undefined, step.code, `${where}: ${JSON.stringify(found)}`);
            compare(resolve(answers, step.is ?? {}), found, where);
            for (const [name, moment] of Object.entries(step.later ?? {})) {
                const before = resolve(answers, moment) as string;
                assert.ok(String(found[name]) > before, `${where}: ${name} is not after ${before}`);
            }
            return found;
        } catch (difference) {
            if (!step.until || Date.now() > end) throw difference;
            await sleep(10);
        }
    }
}

/** The fields of an answer, or of a refusal with its code. */
async function outcome(player: Player, call: string, args: Answer): Promise<Answer> {
    try {
        return await player.play(call, args);
    } catch (error) {
        if (!(error instanceof StockadeError)) throw error;
        const problem = error.problem as Answer | undefined;
        assert.ok(problem, `${error.code} without a problem: ${error.message}`);
        assert.equal(problem.code, error.code);
        return {
            ...problem,
            replayed: error.replayed,
            product_id: problem.id ?? problem.product_id,
            moment: problem.on_sale_from ?? problem.on_sale_until,
        };
    }
}

/** Puts earlier answers in the place of `$` references. */
function resolve(answers: Answer, value: unknown): unknown {
    if (Array.isArray(value)) return value.map((part) => resolve(answers, part));
    if (typeof value === "object" && value !== null) {
        const parts = Object.entries(value).map(([name, part]) => [name, resolve(answers, part)]);
        return Object.fromEntries(parts);
    }
    if (typeof value !== "string") return value;
    const reference = /\$([a-z]\w*(?:\.\w+)*)(?:\+(\d+))?/g;
    const part = (path: string, more: string | undefined) => {
        let found: unknown = answers;
        for (const name of path.split(".")) found = (found as Answer)[name];
        return more === undefined ? found : Number(found) + Number(more);
    };
    const whole = new RegExp(`^${reference.source}$`).exec(value);
    if (whole?.[1] !== undefined) return part(whole[1], whole[2]);
    return value.replaceAll(reference, (_, path, more) => String(part(path, more)));
}

function compare(expected: unknown, found: unknown, where: string): void {
    if (Array.isArray(expected) && Array.isArray(found)) {
        assert.equal(found.length, expected.length, where);
        for (const [number, part] of expected.entries()) {
            compare(part, found[number], `${where}.${number}`);
        }
    } else if (typeof expected === "object" && expected !== null) {
        assert.ok(typeof found === "object" && found !== null, `${where}: ${found}`);
        for (const [name, part] of Object.entries(expected)) {
            compare(part, (found as Answer)[name], `${where}.${name}`);
        }
    } else {
        assert.equal(String(found ?? null), String(expected), where);
    }
}
