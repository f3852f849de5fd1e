// Runs the examples of README.md and docs/node.md, which scripts/examples.mjs took out.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { test } from "node:test";
import { promisify } from "node:util";
import { Server } from "./server.js";

const folder = new URL("examples/", import.meta.url);
const run = promisify(execFile);

test("the documents' examples run as they stand", async () => {
    const programs = (await readdir(folder)).filter((name) => name.endsWith(".js"));
    assert.ok(programs.length > 0);
    for (const name of programs) {
        const server = await Server.start({ demo: "true" });
        try {
            const env = { ...process.env, STOCKADE_URL: server.url };
            const program = new URL(name, folder).pathname;
            const { stdout } = await run(process.execPath, [program], { env, timeout: 20_000 });
            assert.match(stdout, /\S/, name);
        } finally {
            await server.stop();
        }
    }
});
