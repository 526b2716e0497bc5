import assert from "node:assert/strict";
import test from "node:test";

import {
  BANDS, PaeMap, bandOf, chainSpans, clamp, colourNumber, filled, indexAt, keyStep, meanPlddt, pieces, rampAt,
  residueIndex, residueKey, residueName, stretch, stretchName, ticks,
} from "../../src/itda/server/pages/static/result/core.js";
import { Link, one, only } from "../../src/itda/server/pages/static/result/link.js";
import { rotated } from "../../src/itda/server/pages/static/result/viewer_molstar.js";

const RESIDUES = {
  chain_ids: ["A", "A", "A", "A", "B", "B"],
  numbers: [1, 2, 2, 5, 1, 2],
  insertion_codes: ["", "", "A", "", "", ""],
  names: ["MET", "GLN", "ILE", "PHE", "VAL", "LYS"],
  plddt: [90, 89.99, 70, 50, 49.99, 0],
};

test("bands begin at 90, 70 and 50, those values inside", () => {
  assert.deepEqual(RESIDUES.plddt.map((value) => bandOf(value).name), ["very_high", "confident", "confident", "low", "very_low", "very_low"]);
  assert.equal(bandOf(100), BANDS[0]);
  assert.deepEqual(BANDS.map(({ colour }) => colourNumber(colour)), [0x0053d6, 0x65cbf3, 0xffdb13, 0xff7d45]);
});

test("the scale of errors grows lighter all the way and stops at its end", () => {
  const light = Array.from({ length: 101 }, (_, place) => { const [r, g, b] = rampAt(place / 100); return 0.2126 * r + 0.7152 * g + 0.0722 * b; });
  for (let place = 1; place < light.length; place += 1) assert.ok(light[place] >= light[place - 1]);
  assert.deepEqual(rampAt(7), rampAt(1));
  assert.deepEqual(rampAt(-1), [0, 68, 27]);
});

test("chains become spans; a chain's numbers are counted anew", () => {
  assert.deepEqual(chainSpans(RESIDUES.chain_ids), [{ id: "A", start: 0, end: 4 }, { id: "B", start: 4, end: 6 }]);
  assert.deepEqual(chainSpans([]), []);
  const spans = [{ id: "A", start: 0, end: 100 }, { id: "B", start: 100, end: 200 }];
  assert.deepEqual(ticks(spans, 4), [49, 99, 149, 199]);
  const near = ticks([{ id: "A", start: 0, end: 99 }, { id: "B", start: 99, end: 101 }, { id: "C", start: 101, end: 200 }], 4);
  for (let place = 1; place < near.length; place += 1) assert.ok(near[place] - near[place - 1] >= 200 / 15);
  assert.deepEqual(ticks(spans, 1), []);
});

test("a place on an axis is a residue, and none outside", () => {
  assert.deepEqual([0, 0.499, 0.5, 0.9999, 1, -0.01].map((place) => indexAt(place, 2)), [0, 0, 1, 1, null, null]);
  assert.deepEqual([clamp(-4, 3), clamp(9, 3)], [0, 2]);
  assert.deepEqual(stretch(5, 2), [2, 5]);
});

test("a stretch is cut at chains, gaps in the numbering and insertions", () => {
  assert.deepEqual(pieces(RESIDUES, [0, 5]), [
    { chain: "A", from: 1, to: 2, code: "" },
    { chain: "A", from: 2, to: 2, code: "A" },
    { chain: "A", from: 5, to: 5, code: "" },
    { chain: "B", from: 1, to: 2, code: "" },
  ]);
});

test("a residue is found again by chain, number and insertion", () => {
  const index = residueIndex(RESIDUES);
  assert.equal(index.get(residueKey("A", 2, "")), 1);
  assert.equal(index.get(residueKey("A", 2, "A")), 2);
  assert.equal(index.get(residueKey("B", 1, undefined)), 4);
  assert.equal(index.size, 6);
});

test("names and sentences", () => {
  assert.equal(residueName(RESIDUES, 2), "A 2A ILE");
  assert.equal(stretchName(RESIDUES, [0, 3]), "A 1–5");
  assert.equal(stretchName(RESIDUES, [3, 4]), "A 5 – B 1");
  assert.equal(stretchName(RESIDUES, [4, 4]), "B 1 VAL");
  assert.equal(filled("{a} and {b} and {a}", { a: "1" }), "1 and {b} and 1");
  assert.equal(meanPlddt(RESIDUES.plddt, [2, 3]), 60);
});

test("a map of errors reads its rows and columns", () => {
  const map = new PaeMap({ side: 3, factor: 1, step: 0.125, limit: 30 }, Uint8Array.from([0, 8, 16, 24, 32, 40, 48, 56, 255]));
  assert.equal(map.mean(0, 1), 1);
  assert.equal(map.mean(1, 0), 3);
  assert.equal(map.maximum(2, 2), 31.875);
  assert.equal(map.meanOver([0, 1], [1, 2]), (1 + 2 + 4 + 5) / 4);
  assert.deepEqual([...map.pixels().slice(0, 4)], [0, 68, 27, 255]);
  assert.throws(() => new PaeMap({ side: 3, factor: 1, step: 0.125, limit: 30 }, new Uint8Array(8)), /9 bytes/);
});

test("a coarse map tells the mean and the largest error of a square", () => {
  const map = new PaeMap({ side: 2, factor: 2, step: 0.125, limit: 30 }, Uint8Array.from([8, 16, 24, 32, 80, 88, 96, 104]));
  assert.equal(map.mean(1, 2), 2);
  assert.equal(map.maximum(1, 2), 11);
  assert.equal(map.mean(3, 0), 3);
});

test("keys lead along rows and columns", () => {
  assert.deepEqual(keyStep("ArrowUp", 100), [-1, 0]);
  assert.deepEqual(keyStep("PageDown", 100), [0, 10]);
  assert.equal(keyStep("a", 100), null);
});

test("a link tells what changed, once, and by whom", () => {
  const link = new Link();
  const told = [];
  for (const name of ["hover", "choose"]) link.addEventListener(name, ({ type, detail }) => told.push([type, detail.by]));
  link.hover(one(3), "plddt");
  link.hover(one(3), "viewer");
  link.choose(only(2, 4), "plddt");
  assert.deepEqual(link.hoveredResidues, [3]);
  assert.deepEqual(link.chosenStretches, [[2, 4]]);
  link.choose({ rows: [0, 1], columns: [4, 5] }, "pae");
  assert.deepEqual(link.chosenStretches, [[0, 1], [4, 5]]);
  link.clear("button");
  assert.deepEqual([link.hoveredResidues, link.chosenStretches], [[], []]);
  assert.deepEqual(told, [["hover", "plddt"], ["choose", "plddt"], ["choose", "pae"], ["hover", "button"], ["choose", "button"]]);
});

test("a view takes away only what it pointed at itself", () => {
  const link = new Link();
  link.hover(one(3), "plddt");
  link.hover(null, "viewer");
  assert.deepEqual(link.hoveredResidues, [3]);
  link.hover(one(4), "plddt-key");
  link.hover(null, "plddt");
  assert.deepEqual(link.hoveredResidues, []);
  link.hover(one(5), "viewer");
  link.clear("button");
  assert.deepEqual(link.hoveredResidues, []);
});

test("a camera turned by 90 degrees stands at the side, as far away as before", () => {
  const { position, up } = rotated([0, 0, 10], [0, 0, 0], [0, 1, 0], 90, 0);
  assert.ok(Math.abs(position[0] - 10) < 1e-9 && Math.abs(position[2]) < 1e-9);
  assert.deepEqual(up.map((value) => Math.round(value)), [0, 1, 0]);
  assert.ok(Math.abs(Math.hypot(...rotated([1, 2, 10], [1, 0, 0], [0, 1, 0], 37, 21).position.map((value, axis) => value - [1, 0, 0][axis])) - Math.hypot(0, 2, 10)) < 1e-9);
});
