// What the plots reckon with, without a document, so that Node can test it.

/** Bands of pLDDT as the AlphaFold Protein Structure Database colours them, best first. */
export const BANDS = [
  { name: "very_high", least: 90, colour: "#0053d6" },
  { name: "confident", least: 70, colour: "#65cbf3" },
  { name: "low", least: 50, colour: "#ffdb13" },
  { name: "very_low", least: -Infinity, colour: "#ff7d45" },
];

/** The band of a pLDDT of 0 to 100. */
export function bandOf(plddt) {
  return BANDS.find(({ least }) => plddt >= least);
}

/** A colour such as "#0053d6" as a number. */
export function colourNumber(colour) {
  return Number.parseInt(colour.slice(1), 16);
}

// Dark green to white, evenly falling in lightness, as maps of this error are usually drawn.
const RAMP = [[0, 68, 27], [0, 109, 44], [35, 139, 69], [65, 171, 93], [116, 196, 118], [161, 217, 155], [199, 233, 192], [229, 245, 224], [247, 252, 245]];

/** Red, green and blue of a place on the scale of errors, 0 (none) to 1 (its end or beyond). */
export function rampAt(place) {
  const scaled = Math.min(Math.max(place, 0), 1) * (RAMP.length - 1);
  const low = Math.min(Math.floor(scaled), RAMP.length - 2);
  return RAMP[low].map((value, channel) => Math.round(value + (RAMP[low + 1][channel] - value) * (scaled - low)));
}

/** Stretches of one chain: id, start, and end (exclusive), 0-based. */
export function chainSpans(chainIds) {
  const spans = [];
  chainIds.forEach((id, index) => {
    const last = spans.at(-1);
    if (last && last.id === id) last.end = index + 1;
    else spans.push({ id, start: index, end: index + 1 });
  });
  return spans;
}

/**
 * Indices to write a number at: about `wanted`, counted anew in each chain, none too near another.
 * None where there are more chains than that: their names tell enough.
 */
export function ticks(spans, wanted = 6) {
  if (spans.length > wanted) return [];
  const count = spans.length ? spans.at(-1).end : 0;
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((size) => size >= count / wanted) ?? 2000;
  const found = [];
  for (const { start, end } of spans) {
    for (let index = start + Math.min(step, end - start) - 1; index < end; index += step) {
      if (!found.length || index - found.at(-1) >= count / 15) found.push(index);
    }
  }
  return found;
}

/** The residue under a place of 0 to 1 along an axis; null outside. */
export function indexAt(place, count) {
  return place >= 0 && place < 1 ? Math.floor(place * count) : null;
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

/** A residue's name for people, such as "A 12 LYS". */
export function residueName(residues, index) {
  return `${residues.chain_ids[index]} ${residues.numbers[index]}${residues.insertion_codes[index]} ${residues.names[index]}`;
}

/** A stretch's name, such as "A 3–9" or "A 70 – B 4". */
export function stretchName(residues, [first, last]) {
  if (first === last) return residueName(residues, first);
  const [one, other] = [first, last].map((index) => `${residues.numbers[index]}${residues.insertion_codes[index]}`);
  const [chain, next] = [residues.chain_ids[first], residues.chain_ids[last]];
  return chain === next ? `${chain} ${one}–${other}` : `${chain} ${one} – ${next} ${other}`;
}

/** The words of a template with values in place of {names}. */
export function filled(template, values) {
  return template.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
}

/** A map of expected errors in squares of `factor` residues a side. */
export class PaeMap {
  /** @param {{side: number, factor: number, step: number, limit: number}} shape of `bytes`: means, then maxima */
  constructor(shape, bytes) {
    const squares = shape.side ** 2;
    const expected = shape.factor > 1 ? 2 * squares : squares;
    if (bytes.length !== expected) throw new Error(`a map of ${expected} bytes was expected, ${bytes.length} came`);
    Object.assign(this, shape);
    this.means = bytes.subarray(0, squares);
    this.maxima = shape.factor > 1 ? bytes.subarray(squares) : this.means;
  }

  #place(row, column) {
    return Math.floor(row / this.factor) * this.side + Math.floor(column / this.factor);
  }

  /** Mean error, in Å, of the square of two residues; of the pair itself where squares are pairs. */
  mean(row, column) {
    return this.means[this.#place(row, column)] * this.step;
  }

  /** Largest error, in Å, of the square of two residues. */
  maximum(row, column) {
    return this.maxima[this.#place(row, column)] * this.step;
  }

  /** Mean error, in Å, over stretches of rows and columns. */
  meanOver([firstRow, lastRow], [firstColumn, lastColumn]) {
    let sum = 0;
    let squares = 0;
    for (let row = Math.floor(firstRow / this.factor); row <= Math.floor(lastRow / this.factor); row += 1) {
      for (let column = Math.floor(firstColumn / this.factor); column <= Math.floor(lastColumn / this.factor); column += 1) {
        sum += this.means[row * this.side + column];
        squares += 1;
      }
    }
    return (sum / squares) * this.step;
  }

  /** Red, green, blue and opacity of each square. */
  pixels() {
    const table = Array.from({ length: 256 }, (_, value) => rampAt((value * this.step) / this.limit));
    const pixels = new Uint8ClampedArray(this.means.length * 4);
    this.means.forEach((value, place) => pixels.set([...table[value], 255], place * 4));
    return pixels;
  }
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
