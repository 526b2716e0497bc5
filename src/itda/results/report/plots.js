// What the plots of the report and of a server's page have in common. The report holds this file as
// it stands, without the word before what it gives.

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

/** A residue's name for people, such as "A 12 LYS". */
export function residueName(residues, index) {
  return `${residues.chain_ids[index]} ${residues.numbers[index]}${residues.insertion_codes[index]} ${residues.names[index]}`;
}

/** The words of a template with values in place of {names}. */
export function filled(template, values) {
  return template.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
}

/** Write the names of chains over their stretches, where they fit. */
export function drawChainNames(context, spans, left, y, scale, colour) {
  context.save();
  context.font = "bold 12px system-ui, sans-serif";
  context.fillStyle = colour;
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const { id, start, end } of spans) {
    const width = (end - start) * scale;
    if (context.measureText(id).width <= width) context.fillText(id, left + start * scale + width / 2, y);
  }
  context.restore();
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
    const table = Uint32Array.from({ length: 256 }, (_, value) => {
      const [red, green, blue] = rampAt((value * this.step) / this.limit);
      return (255 << 24) | (blue << 16) | (green << 8) | red;
    });
    return new Uint8ClampedArray(Uint32Array.from(this.means, (value) => table[value]).buffer);
  }
}
