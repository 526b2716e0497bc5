// The map of expected errors: point, drag a square, or move with the arrow keys.

import { clamp, drawChainNames, indexAt, keyStep, rampAt, stretch, ticks } from "./core.js";
import { Surface } from "./surface.js";

const LEFT = 46;
const RIGHT = 10;
const BAR = 14;
const BELOW = 66;
const WIDEST = 560;

export class PaePlot {
  /**
   * @param {HTMLElement} box has the focus; role application
   * @param {import("./link.js").Link} link
   * @param {{scale: string, rows: string, columns: string}} words
   */
  constructor(box, link, words) {
    this.box = box;
    this.link = link;
    this.words = words;
    this.canvas = box.querySelector("canvas");
    this.image = document.createElement("canvas");
    this.surface = new Surface(this.canvas, (width) => this.#side(width) + this.top + BELOW, () => this.draw());
    this.cursor = { row: 0, column: 0 };
    this.anchor = null;
    this.#listen();
  }

  get top() {
    return this.spans?.length > 1 ? 22 : 10;
  }

  #side(width) {
    return Math.max(Math.min(width, WIDEST) - LEFT - RIGHT, 60);
  }

  /** @param {import("./core.js").PaeMap} map */
  show(residues, spans, map) {
    this.residues = residues;
    this.spans = spans;
    this.map = map;
    this.count = residues.plddt.length;
    this.cursor = { row: clamp(this.cursor.row, this.count), column: clamp(this.cursor.column, this.count) };
    this.image.width = this.image.height = map.side;
    this.image.getContext("2d").putImageData(new ImageData(map.pixels(), map.side, map.side), 0, 0);
    this.surface.request();
  }

  draw() {
    if (!this.map) return;
    const { context, width, colour } = this.surface.begin();
    const side = this.#side(width);
    const scale = side / this.count;
    const x = (index) => LEFT + index * scale;
    const y = (index) => this.top + index * scale;
    context.imageSmoothingEnabled = this.map.side > side;
    // The last square may stand for fewer residues than the others.
    const drawn = this.map.side * this.map.factor * scale;
    context.save();
    context.beginPath();
    context.rect(LEFT, this.top, side, side);
    context.clip();
    context.drawImage(this.image, LEFT, this.top, drawn, drawn);
    context.restore();
    context.strokeStyle = colour("line");
    context.strokeRect(LEFT, this.top, side, side);
    this.#borders(context, x, y, side);
    this.#axes(context, x, y, side, colour);
    this.#marks(context, x, y, side, colour);
    this.#bar(context, side, colour);
  }

  #borders(context, x, y, side) {
    for (const { start } of this.spans.slice(1)) {
      for (const [shade, wide] of [["#fff", 3], ["#000", 1]]) {
        context.strokeStyle = shade;
        context.lineWidth = wide;
        context.beginPath();
        context.moveTo(x(start), this.top);
        context.lineTo(x(start), this.top + side);
        context.moveTo(LEFT, y(start));
        context.lineTo(LEFT + side, y(start));
        context.stroke();
      }
    }
    context.lineWidth = 1;
  }

  #axes(context, x, y, side, colour) {
    context.fillStyle = colour("soft");
    const places = ticks(this.spans, side < 340 ? 4 : 6);
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const index of places) context.fillText(String(this.residues.numbers[index]), LEFT - 6, y(index + 0.5));
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const index of places) context.fillText(String(this.residues.numbers[index]), x(index + 0.5), this.top + side + 5);
    context.save();
    context.translate(10, this.top + side / 2);
    context.rotate(-Math.PI / 2);
    context.textBaseline = "middle";
    context.fillText(this.words.rows, 0, 0);
    context.restore();
    context.fillText(this.words.columns, LEFT + side / 2, this.top + side + 20);
    if (this.spans.length > 1) drawChainNames(context, this.spans, LEFT, 3, x(1) - x(0), colour("ink"));
  }

  #marks(context, x, y, side, colour) {
    const { chosen, hovered } = this.link;
    const halo = (path) => {
      for (const [shade, wide] of [["#fff", 4], [colour("mark"), 2]]) {
        context.strokeStyle = shade;
        context.lineWidth = wide;
        path();
        context.stroke();
      }
      context.lineWidth = 1;
    };
    if (chosen) {
      const { rows, columns } = chosen;
      halo(() => {
        context.beginPath();
        context.rect(x(columns[0]), y(rows[0]), Math.max(x(columns[1] + 1) - x(columns[0]), 2), Math.max(y(rows[1] + 1) - y(rows[0]), 2));
      });
    }
    if (hovered) {
      halo(() => {
        context.beginPath();
        context.moveTo(x(hovered.column + 0.5), this.top);
        context.lineTo(x(hovered.column + 0.5), this.top + side);
        context.moveTo(LEFT, y(hovered.row + 0.5));
        context.lineTo(LEFT + side, y(hovered.row + 0.5));
      });
    }
  }

  #bar(context, side, colour) {
    const top = this.top + side + 40;
    const length = Math.min(side * 0.6, 220);
    for (let step = 0; step < length; step += 1) {
      context.fillStyle = `rgb(${rampAt(step / length).join(",")})`;
      context.fillRect(LEFT + step, top, 1.5, BAR - 4);
    }
    context.strokeStyle = colour("line");
    context.strokeRect(LEFT, top, length, BAR - 4);
    context.fillStyle = colour("soft");
    context.textBaseline = "top";
    const { limit } = this.map;
    for (const value of [0, limit / 3, (2 * limit) / 3, limit]) {
      context.textAlign = value === 0 ? "left" : "center";
      context.fillText(value === limit ? `≥ ${value}` : String(value), LEFT + (value / limit) * length, top + BAR - 1);
    }
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText(this.words.scale, LEFT + length + 12, top + BAR / 2 - 2);
  }

  #under(event) {
    const frame = this.canvas.getBoundingClientRect();
    const side = this.#side(frame.width);
    const column = indexAt((event.clientX - frame.left - LEFT) / side, this.count);
    const row = indexAt((event.clientY - frame.top - this.top) / side, this.count);
    return row === null || column === null ? null : { row, column };
  }

  #listen() {
    const { box, link } = this;
    for (const name of ["hover", "choose"]) link.addEventListener(name, () => this.surface.request());
    const between = (from, to) => ({ rows: stretch(from.row, to.row), columns: stretch(from.column, to.column) });
    box.addEventListener("pointermove", (event) => {
      if (!this.map) return;
      const found = this.#under(event);
      if (found || !this.dragged) link.hover(found, "pae");
      if (found && this.dragged) link.choose(between(this.dragged, found), "pae");
    });
    box.addEventListener("pointerdown", (event) => {
      const found = this.map && !event.button ? this.#under(event) : null;
      if (!found) return;
      this.dragged = found;
      this.cursor = found;
      box.setPointerCapture(event.pointerId);
      link.choose(between(found, found), "pae");
    });
    for (const name of ["pointerup", "pointercancel"]) box.addEventListener(name, () => { this.dragged = null; });
    box.addEventListener("pointerleave", () => { if (!this.dragged) link.hover(null, "pae"); });
    box.addEventListener("blur", () => link.hover(null, "pae"));
    box.addEventListener("keydown", (event) => {
      if (!this.map) return;
      const step = keyStep(event.key, this.count);
      if (event.key === "Escape") link.clear("pae-key");
      else if (event.key === "Enter" || event.key === " ") link.choose(between(this.cursor, this.cursor), "pae-key");
      else if (step) {
        if (event.shiftKey) this.anchor ??= this.cursor;
        else this.anchor = null;
        this.cursor = { row: clamp(this.cursor.row + step[0], this.count), column: clamp(this.cursor.column + step[1], this.count) };
        link.hover(this.cursor, "pae-key");
        if (this.anchor) link.choose(between(this.anchor, this.cursor), "pae-key");
      } else return;
      event.preventDefault();
    });
  }

  stop() {
    this.surface.stop();
  }
}
