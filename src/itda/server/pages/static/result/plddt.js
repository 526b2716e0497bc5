// The plot of pLDDT along the chains: point, drag, or move with the arrow keys.

import { BANDS, bandOf, clamp, drawChainNames, indexAt, keyStep, residueName, stretch, ticks } from "./core.js";
import { one, only } from "./link.js";
import { Surface } from "./surface.js";

const LEFT = 34;
const RIGHT = 8;
const BOTTOM = 22;

export class PlddtPlot {
  /**
   * @param {HTMLElement} box has the focus; role slider
   * @param {import("./link.js").Link} link
   */
  constructor(box, link) {
    this.box = box;
    this.link = link;
    this.canvas = box.querySelector("canvas");
    this.surface = new Surface(this.canvas, () => (this.several ? 214 : 196), () => this.draw());
    this.cursor = 0;
    this.anchor = null;
    this.#listen();
  }

  get several() {
    return this.spans?.length > 1;
  }

  show(residues, spans) {
    this.residues = residues;
    this.spans = spans;
    this.count = residues.plddt.length;
    this.cursor = clamp(this.cursor, this.count);
    this.box.setAttribute("aria-valuemin", "1");
    this.box.setAttribute("aria-valuemax", String(this.count));
    this.#tell();
    this.surface.request();
  }

  draw() {
    if (!this.residues) return;
    const { context, width, height, colour } = this.surface.begin();
    const top = this.several ? 22 : 8;
    const base = height - BOTTOM;
    const scale = (width - LEFT - RIGHT) / this.count;
    const x = (index) => LEFT + index * scale;
    const y = (value) => base - (value / 100) * (base - top);
    this.#chosen(context, x, top, base, colour);
    this.residues.plddt.forEach((value, index) => {
      context.fillStyle = bandOf(value).colour;
      context.fillRect(x(index), y(value), Math.max(scale - (scale > 4 ? 0.8 : 0), 0.6), base - y(value));
    });
    this.#axes(context, width, x, y, top, base, colour);
    context.fillStyle = context.strokeStyle = colour("mark");
    for (const index of this.link.hoveredResidues) {
      context.fillRect(x(index + 0.5) - 1, top - 2, 2, base - top + 2);
      context.beginPath();
      context.arc(x(index + 0.5), y(this.residues.plddt[index]), 4, 0, 7);
      context.fill();
    }
  }

  #chosen(context, x, top, base, colour) {
    context.fillStyle = colour("chosen");
    context.strokeStyle = colour("mark");
    for (const [first, last] of this.link.chosenStretches) {
      const width = Math.max(x(last + 1) - x(first), 2);
      context.fillRect(x(first), top, width, base - top);
      context.strokeRect(x(first), top, width, base - top);
    }
  }

  #axes(context, width, x, y, top, base, colour) {
    context.strokeStyle = colour("line");
    context.fillStyle = colour("soft");
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const value of [0, ...BANDS.slice(0, 3).map(({ least }) => least), 100]) {
      context.fillText(String(value), LEFT - 6, y(value));
      context.beginPath();
      context.setLineDash(value % 100 ? [3, 3] : []);
      context.moveTo(LEFT, y(value));
      context.lineTo(width - RIGHT, y(value));
      context.stroke();
    }
    context.setLineDash([]);
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const index of ticks(this.spans, width < 420 ? 4 : 8)) context.fillText(String(this.residues.numbers[index]), x(index + 0.5), base + 5);
    context.strokeStyle = colour("ink");
    for (const { start } of this.spans.slice(1)) {
      context.beginPath();
      context.moveTo(x(start), top - 4);
      context.lineTo(x(start), base + 4);
      context.stroke();
    }
    if (this.several) drawChainNames(context, this.spans, LEFT, 3, x(1) - x(0), colour("ink"));
  }

  #under(event) {
    const frame = this.canvas.getBoundingClientRect();
    return indexAt((event.clientX - frame.left - LEFT) / (frame.width - LEFT - RIGHT), this.count);
  }

  #listen() {
    const { box, link } = this;
    for (const name of ["hover", "choose"]) link.addEventListener(name, () => this.#follow(name));
    box.addEventListener("pointermove", (event) => {
      const index = this.#under(event);
      if (this.dragged === undefined) return link.hover(index === null ? null : one(index), "plddt");
      if (index === null) return undefined;
      link.hover(one(index), "plddt");
      return link.choose(only(...stretch(this.dragged, index)), "plddt");
    });
    box.addEventListener("pointerdown", (event) => {
      const index = this.#under(event);
      if (index === null || event.button) return;
      this.dragged = index;
      this.cursor = index;
      box.setPointerCapture(event.pointerId);
      link.choose(only(index), "plddt");
    });
    for (const name of ["pointerup", "pointercancel"]) box.addEventListener(name, () => { this.dragged = undefined; });
    box.addEventListener("pointerleave", () => { if (this.dragged === undefined) link.hover(null, "plddt"); });
    box.addEventListener("keydown", (event) => this.#key(event));
    box.addEventListener("blur", () => link.hover(null, "plddt"));
  }

  #key(event) {
    const step = keyStep(event.key, this.count);
    if (event.key === "Escape") this.link.clear("plddt-key");
    else if (event.key === "Enter" || event.key === " ") this.link.choose(only(this.cursor), "plddt-key");
    else if (step) {
      if (event.shiftKey) this.anchor ??= this.cursor;
      else this.anchor = null;
      this.cursor = clamp(this.cursor + step[1] - step[0], this.count);
      this.#tell();
      this.link.hover(one(this.cursor), "plddt-key");
      if (this.anchor !== null) this.link.choose(only(...stretch(this.anchor, this.cursor)), "plddt-key");
    } else return;
    event.preventDefault();
  }

  #follow(name) {
    if (name === "choose" && this.link.chosen) this.anchor = this.anchor ?? null;
    this.surface.request();
  }

  #tell() {
    this.box.setAttribute("aria-valuenow", String(this.cursor + 1));
    this.box.setAttribute("aria-valuetext", `${residueName(this.residues, this.cursor)}: pLDDT ${this.residues.plddt[this.cursor].toFixed(1)}`);
  }

  stop() {
    this.surface.stop();
  }
}

