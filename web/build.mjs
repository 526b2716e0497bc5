// Puts what the page needs of npm packages into the Python package, with licences and a manifest.
//
//   node build.mjs           make the files
//   node build.mjs --check   only compare what is there with the manifest; exit status 1 where it differs
//
// htmx is copied unchanged, Mol* is put into one module by esbuild: see molstar.js.

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, "node_modules");
const target = join(here, "..", "src", "itda", "server", "pages", "static", "vendor");

const COPIED = [
  { package: "htmx.org", from: "dist/htmx.min.js", to: "htmx.min.js" },
  { package: "htmx.org", from: "LICENSE", to: "htmx-LICENSE.txt" },
];
const BUNDLE = "molstar.js";
const BUNDLE_LICENCES = "molstar-LICENSE.txt";

const text = (path) => readFileSync(path, "utf8");
const about = (name) => JSON.parse(text(join(modules, name, "package.json")));
const sha256 = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");

/** Make the module of Mol*; returns the packages whose code is in it. */
async function bundle() {
  const { build } = await import("esbuild");
  const { metafile } = await build({
    absWorkingDir: here,
    entryPoints: ["molstar.js"],
    outfile: join(target, BUNDLE),
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    legalComments: "none",
    metafile: true,
    logLevel: "warning",
  });
  const [output] = Object.values(metafile.outputs);
  const inside = Object.keys(output.inputs).filter((path) => path.includes("node_modules/"));
  return [...new Set(inside.map((path) => {
    const [first, second] = path.split("node_modules/").at(-1).split("/");
    return first.startsWith("@") ? `${first}/${second}` : first;
  }))].sort();
}

function licenceOf(name) {
  const file = readdirSync(join(modules, name)).find((one) => /^(licen[cs]e|copying)/i.test(one));
  if (!file) throw new Error(`${name}: has no file of its licence`);
  const { version, license } = about(name);
  return `${"=".repeat(96)}\n${name} ${version} (${license})\n\n${text(join(modules, name, file)).trim()}\n`;
}

async function make() {
  mkdirSync(target, { recursive: true });
  for (const { package: name, from, to } of COPIED) copyFileSync(join(modules, name, from), join(target, to));
  const inside = await bundle();
  writeFileSync(join(target, BUNDLE_LICENCES), inside.map(licenceOf).join("\n"));
  const entries = [
    ...COPIED,
    { package: "molstar", from: `web/molstar.js by esbuild ${about("esbuild").version}`, to: BUNDLE, built: true },
    { package: "molstar", from: `licences of ${inside.join(", ")}`, to: BUNDLE_LICENCES, built: true },
  ];
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
  const manifest = await make();
  for (const [name, entry] of Object.entries(manifest.files)) console.log(`${name}  ${entry.package} ${entry.version}`);
}
