// src/ becomes jaxmem/reporting/page/app.js; the licences of what is bundled, LICENSES.txt.

import { readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const page = new URL("../jaxmem/reporting/page/", import.meta.url).pathname;
const here = new URL("./", import.meta.url).pathname;

const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: ["src/main.js"],
  outfile: `${page}app.js`,
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  metafile: true,
});

const names = Object.keys(metafile.inputs).flatMap((path) => /node_modules\/([^/]+)/.exec(path)?.[1] ?? []);
const texts = [...new Set(names)].sort().map((name) => {
  const { version } = JSON.parse(readFileSync(`${here}node_modules/${name}/package.json`, "utf8"));
  return `${name} ${version}\n\n${readFileSync(`${here}node_modules/${name}/LICENSE`, "utf8").trim()}\n`;
});
const rule = `\n${"-".repeat(72)}\n\n`;
writeFileSync(`${page}LICENSES.txt`, `app.js contains parts of these packages.\n${rule}${texts.join(rule)}`);
