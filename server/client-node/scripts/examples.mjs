// Writes the examples of documents as programs, so that they are compiled and run as they
// stand, but for the server's address:
//
//     node scripts/examples.mjs FOLDER DOCUMENT…
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";

const [folder, ...documents] = process.argv.slice(2);
await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
let count = 0;
for (const document of documents) {
    const text = await readFile(document, "utf8");
    for (const [, code] of text.matchAll(/^```ts\n(.*?)^```$/gms)) {
        count += 1;
        const program = code.replaceAll('"http://127.0.0.1:8080"', "process.env.STOCKADE_URL!");
        await writeFile(path.join(folder, `example-${count}.ts`), program);
    }
}
if (count < documents.length) throw new Error(`${count} examples in ${documents.length} documents`);
