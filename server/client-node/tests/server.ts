// Starts the program under test on a free port, on a store in memory.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";

export class Server {
    private constructor(
        private readonly process: ChildProcess,
        readonly folder: string,
        readonly url: string,
    ) {}

    /** Starts it with settings; in their values FOLDER is a folder of its own. `demo` seeds products. */
    static async start({ demo, ...settings }: Record<string, string> = {}): Promise<Server> {
        const program = process.env.STOCKADE_SERVER;
        if (program === undefined) throw new Error("STOCKADE_SERVER must name the program");
        const folder = await mkdtemp(path.join(tmpdir(), "stockade-node-"));
        const all = {
            store: "sqlite::memory:",
            listen: "127.0.0.1:0",
            log_level: "warn",
            ...settings,
        };
        const flags = Object.entries(all).map(
            ([name, value]) =>
                `--${name.replaceAll("_", "-")}=${value.replaceAll("FOLDER", folder)}`,
        );
        const child = spawn(program, ["serve", ...(demo ? ["--demo"] : []), ...flags], {
            cwd: folder,
            stdio: ["ignore", "pipe", "inherit"],
        });
        const lines = createInterface({ input: child.stdout });
        const line = await Promise.race([once(lines, "line"), once(child, "exit")]);
        const url = /^listening on (http:\S+)/.exec(String(line[0]))?.[1];
        if (url === undefined) throw new Error(`the server did not start: ${line[0]}`);
        return new Server(child, folder, url);
    }

    async stop(): Promise<void> {
        if (this.process.exitCode === null) {
            this.process.kill("SIGKILL");
            await once(this.process, "exit");
        }
        await rm(this.folder, { recursive: true });
    }
}

/**
 * A TCP proxy before a server that loses answers: the first `lost` requests reach the
 * server, and their connections are cut when it answers.
 */
export async function losing(url: string, lost: number) {
    const seen: string[] = [];
    const open = new Set<Socket>();
    let left = lost;
    const proxy = createServer((client) => {
        const server = createConnection(Number(new URL(url).port), "127.0.0.1");
        for (const socket of [client, server]) {
            open.add(socket);
            socket.on("error", () => socket.destroy());
            socket.on("close", () => open.delete(socket));
        }
        client.on("data", (bytes) => {
            const key = /^idempotency-key: (.*)\r$/im.exec(bytes.toString("latin1"))?.[1];
            if (key !== undefined) seen.push(key);
            server.write(bytes);
        });
        server.on("data", (bytes) => {
            if (left > 0) {
                left -= 1;
                client.destroy();
                server.destroy();
            } else {
                client.write(bytes);
            }
        });
        client.on("end", () => server.end());
        server.on("end", () => client.end());
    });
    proxy.listen(0, "127.0.0.1");
    await once(proxy, "listening");
    const address = proxy.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return {
        url: `http://127.0.0.1:${address.port}`,
        /** The idempotency keys of the requests that passed. */
        keys: seen,
        stop(): void {
            proxy.close();
            for (const socket of open) socket.destroy();
        },
    };
}
