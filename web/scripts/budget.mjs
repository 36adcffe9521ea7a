// Fails when the script that the page loads grows beyond what a slow link takes in a moment.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const BYTES_MAX = 200 * 1024;
const dist = fileURLToPath(new URL("../dist/", import.meta.url));

const scripts = readdirSync(dist, { recursive: true }).filter((name) => name.endsWith(".js"));
const bytes = scripts.reduce((sum, name) => sum + gzipSync(readFileSync(join(dist, name))).length, 0);
console.log(`scripts: ${(bytes / 1024).toFixed(1)} KiB gzipped of ${BYTES_MAX / 1024} KiB allowed`);
if (bytes > BYTES_MAX) process.exit(1);
