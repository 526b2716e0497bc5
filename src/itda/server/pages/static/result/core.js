// What the plots reckon with, without a document, so that Node can test it.

import { residueName } from "./plots.js";

export * from "./plots.js";

/** A colour such as "#0053d6" as a number. */
export function colourNumber(colour) {
  return Number.parseInt(colour.slice(1), 16);
}

export function clamp(index, count) {
  return Math.min(Math.max(index, 0), count - 1);
}

/** A stretch from one residue to another, whichever comes first: [first, last], both inside. */
export function stretch(one, other) {
  return one <= other ? [one, other] : [other, one];
}

/** A stretch cut where chains or the numbering change: {chain, from, to} with author numbers. */
export function pieces(residues, [first, last]) {
  const found = [];
  for (let index = first; index <= last; index += 1) {
    const chain = residues.chain_ids[index];
    const number = residues.numbers[index];
    const code = residues.insertion_codes[index];
    const open = found.at(-1);
    if (open && open.chain === chain && !code && !open.code && number === open.to + 1) open.to = number;
    else found.push({ chain, from: number, to: number, code });
  }
  return found;
}

/** What finds a residue again from what a viewer says of an atom. */
export function residueKey(chain, number, code) {
  return `${chain}\n${number}\n${code || ""}`;
}

/** Index of each residue by its key. */
export function residueIndex(residues) {
  return new Map(residues.chain_ids.map((chain, index) => [residueKey(chain, residues.numbers[index], residues.insertion_codes[index]), index]));
}

/** A stretch's name, such as "A 3–9" or "A 70 – B 4". */
export function stretchName(residues, [first, last]) {
  if (first === last) return residueName(residues, first);
  const [one, other] = [first, last].map((index) => `${residues.numbers[index]}${residues.insertion_codes[index]}`);
  const [chain, next] = [residues.chain_ids[first], residues.chain_ids[last]];
  return chain === next ? `${chain} ${one}–${other}` : `${chain} ${one} – ${next} ${other}`;
}

/** Mean of pLDDT over a stretch. */
export function meanPlddt(plddt, [first, last]) {
  let sum = 0;
  for (let index = first; index <= last; index += 1) sum += plddt[index];
  return sum / (last - first + 1);
}

/** Where the arrow keys lead: a step for each axis, or null for other keys. */
export function keyStep(key, count) {
  const page = Math.max(1, Math.round(count / 10));
  const steps = {
    ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
    PageUp: [0, -page], PageDown: [0, page], Home: [0, -count], End: [0, count],
  };
  return steps[key] ?? null;
}
