// The structure in 3Dmol.js, which reports carry too: for an installation without Mol*.

import { bandOf, pieces, residueIndex, residueKey } from "./core.js";

/** Load a script that is no module. */
function load(address) {
  if (window.$3Dmol) return undefined;
  return new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = done;
    script.onerror = () => failed(new Error(`${address} cannot be loaded`));
    document.head.append(script);
  });
}

export class SimpleViewer {
  /**
   * @param {string} address of the script of 3Dmol.js
   * @param {HTMLElement} box
   * @param {{hover: Function, choose: Function}} tell of residues by index, or null
   */
  static async create(address, box, tell) {
    await load(address);
    const probe = document.createElement("canvas");
    if (!(probe.getContext("webgl2") || probe.getContext("webgl"))) throw new Error("no WebGL");
    box.replaceChildren();
    const viewer = new SimpleViewer();
    viewer.viewer = window.$3Dmol.createViewer(box, { backgroundColor: "white", antialias: true });
    viewer.tell = tell;
    viewer.style = "cartoon";
    viewer.hovered = [];
    viewer.chosen = [];
    return viewer;
  }

  async show(cif, residues) {
    this.residues = residues;
    this.indices = residueIndex(residues);
    const first = !this.model;
    this.viewer.removeAllModels();
    this.model = this.viewer.addModel(cif, "cif", { doAssembly: false });
    const indexOf = (atom) => this.indices.get(residueKey(atom.chain, atom.resi, atom.icode?.trim())) ?? null;
    this.model.setHoverable({}, true, (atom) => this.tell.hover(indexOf(atom)), () => this.tell.hover(null));
    this.model.setClickable({}, true, (atom) => this.tell.choose(indexOf(atom)));
    this.#represent();
    if (first) this.reset();
  }

  async draw(style) {
    this.style = style;
    this.#represent();
  }

  #represent() {
    const colorfunc = (atom) => bandOf(atom.b).colour;
    this.viewer.removeAllSurfaces();
    this.viewer.setStyle({}, this.style === "sticks" ? { stick: { colorfunc, radius: 0.18 } } : { cartoon: { colorfunc } });
    this.#mark();
  }

  #mark() {
    this.viewer.removeAllShapes();
    const sphere = (index, color, alpha) => {
      const [piece] = pieces(this.residues, [index, index]);
      const atoms = this.model.selectedAtoms({ chain: piece.chain, resi: piece.from });
      const atom = atoms.find((one) => one.atom === "CA") ?? atoms[0];
      if (atom) this.viewer.addSphere({ center: { x: atom.x, y: atom.y, z: atom.z }, radius: 1.3, color, alpha });
    };
    for (const [first, last] of this.chosen) for (let index = first; index <= last; index += 1) sphere(index, "#2e9e4f", 0.55);
    for (const index of this.hovered) sphere(index, "#d6006c", 0.75);
    this.viewer.render();
  }

  highlight(indices) {
    this.hovered = indices;
    this.#mark();
  }

  choose(stretches) {
    this.chosen = stretches;
    this.#mark();
  }

  focus(stretches) {
    const selections = stretches.flatMap((stretch) => pieces(this.residues, stretch)).map(({ chain, from, to }) => ({ chain, resi: from === to ? from : `${from}-${to}` }));
    this.viewer.zoomTo({ or: selections, expand: 9, byres: true }, 250);
  }

  reset() {
    this.viewer.zoomTo();
    this.viewer.render();
  }

  paint(background) {
    this.viewer.setBackgroundColor(background);
    this.viewer.render();
  }

  turn(right, up) {
    this.viewer.rotate(right, "y");
    this.viewer.rotate(-up, "x");
  }

  async picture() {
    return this.viewer.pngURI();
  }

  stop() {
    this.viewer.removeAllModels();
  }
}
