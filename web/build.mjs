// Copies what the page needs of npm packages into the Python package, with licences and a manifest.
//
//   node build.mjs           copy
//   node build.mjs --check   only compare what is there with the manifest's sums; exit status 1 where it differs
//
// Nothing is bundled or changed, so that anyone can compare the files with those that npm serves.

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, "node_modules");
const target = join(here, "..", "src", "itda", "server", "pages", "static", "vendor");

const FILES = [
  { package: "htmx.org", from: "dist/htmx.min.js", to: "htmx.min.js" },
  { package: "htmx.org", from: "dist/ext/hx-sse.min.js", to: "hx-sse.min.js" },
  { package: "htmx.org", from: "LICENSE", to: "htmx-LICENSE.txt" },
  { package: "molstar", from: "build/viewer/molstar.js", to: "molstar.js", built: true },
  { package: "molstar", from: "build/viewer/molstar.css", to: "molstar.css", built: true },
];
const MOLSTAR_LICENCES = "molstar-LICENSE.txt";

const text = (path) => readFileSync(path, "utf8");
const about = (name) => JSON.parse(text(join(modules, name, "package.json")));
const sha256 = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");

/** The packages whose code is inside the prebuilt viewer, as its source map names them. */
function packagesInside(sourceMap) {
  const names = new Set();
  for (const source of JSON.parse(text(sourceMap)).sources) {
    const parts = source.split("node_modules/");
    if (parts.length < 2) continue;
    const [first, second] = parts.at(-1).split("/");
    names.add(first.startsWith("@") ? `${first}/${second}` : first);
  }
  return [...names].sort();
}

function licenceOf(name) {
  const file = readdirSync(join(modules, name)).find((one) => /^(licen[cs]e|copying)/i.test(one));
  const { version, license } = about(name);
  const terms = file ? text(join(modules, name, file)).trim() : `Licence: ${license} (the package has no file of its terms)`;
  return `${"=".repeat(96)}\n${name} ${version} (${license})\n\n${terms}\n`;
}

function copy() {
  mkdirSync(target, { recursive: true });
  for (const { package: name, from, to } of FILES) copyFileSync(join(modules, name, from), join(target, to));
  const inside = packagesInside(join(modules, "molstar", "build/viewer/molstar.js.map"));
  writeFileSync(join(target, MOLSTAR_LICENCES), ["molstar", ...inside].map(licenceOf).join("\n"));
  const entries = [...FILES, { package: "molstar", from: "LICENSE and those of the packages inside", to: MOLSTAR_LICENCES, built: true }];
  const manifest = {
    files: Object.fromEntries(entries.map((one) => [one.to, {
      package: one.package,
      version: about(one.package).version,
      licence: about(one.package).license,
      from: one.from,
      committed: !one.built,
      sha256: sha256(join(target, one.to)),
    }])),
  };
  writeFileSync(join(target, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  return manifest;
}

function differing(manifest) {
  return Object.entries(manifest.files)
    .filter(([name, entry]) => (existsSync(join(target, name)) ? sha256(join(target, name)) !== entry.sha256 : entry.committed))
    .map(([name]) => name);
}

if (process.argv.includes("--check")) {
  const wrong = differing(JSON.parse(text(join(target, "manifest.json"))));
  for (const name of wrong) console.error(`${name}: missing, or not what the manifest says`);
  process.exitCode = wrong.length ? 1 : 0;
} else {
  const manifest = copy();
  for (const [name, entry] of Object.entries(manifest.files)) console.log(`${name}  ${entry.package} ${entry.version}`);
}
