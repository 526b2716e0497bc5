// The structure in Mol*, without Mol*'s own panels: this page has its own, in the reader's language.

import { bandOf, colourNumber, pieces, residueIndex, residueKey } from "./core.js";

// Mol* itself is large and may be missing, so that it is imported when it is wanted.
const THEME = "itda-plddt";
const STYLES = { cartoon: "cartoon", sticks: "ball-and-stick", surface: "molecular-surface" };
const BESIDE = ["ligand", "branched", "ion", "lipid"];
const NO_SCORE = 0xaaaaaa;

/** The colour of an atom, or of a bond by its first atom. */
function plddtTheme(context, props) {
  const scoreOf = (unit, element) => unit.model.atomicConformation.B_iso_or_equiv.value(element);
  const color = (location) => {
    const unit = location.unit ?? location.aUnit;
    const element = location.element ?? location.aUnit?.elements[location.aIndex];
    if (!unit?.model?.atomicConformation || element === undefined) return NO_SCORE;
    return colourNumber(bandOf(scoreOf(unit, element)).colour);
  };
  return { factory: plddtTheme, granularity: "group", preferSmoothing: false, color, props, description: "" };
}
const THEME_PROVIDER = {
  name: THEME,
  label: "pLDDT",
  category: "Validation",
  factory: plddtTheme,
  getParams: () => ({}),
  defaultValues: {},
  isApplicable: (context) => Boolean(context.structure),
};

function behaviours({ PluginBehaviors, PluginSpec, StructureFocusRepresentation }) {
  return [
    PluginBehaviors.Representation.HighlightLoci,
    PluginBehaviors.Representation.SelectLoci,
    PluginBehaviors.Representation.FocusLoci,
    PluginBehaviors.Camera.FocusLoci,
    PluginBehaviors.Camera.CameraControls,
    StructureFocusRepresentation,
    PluginBehaviors.CustomProps.StructureInfo,
    PluginBehaviors.CustomProps.Interactions,
    PluginBehaviors.CustomProps.SecondaryStructure,
    PluginBehaviors.CustomProps.ValenceModel,
    PluginBehaviors.CustomProps.AccessibleSurfaceArea,
  ].map((behaviour) => PluginSpec.Behavior(behaviour));
}

export class MolstarViewer {
  /**
   * @param {string} address of the module of Mol*
   * @param {HTMLElement} box
   * @param {{hover: Function, choose: Function}} tell of residues by index, or null
   */
  static async create(address, box, tell) {
    const molstar = await import(address);
    const viewer = new MolstarViewer();
    viewer.molstar = molstar;
    viewer.plugin = new molstar.PluginContext({ behaviors: behaviours(molstar) });
    await viewer.plugin.init();
    const canvas = document.createElement("canvas");
    box.replaceChildren(canvas);
    if (!(await viewer.plugin.initViewerAsync(canvas, box))) throw new Error("no WebGL");
    viewer.plugin.canvas3d.setProps({ camera: { helper: { axes: { name: "off", params: {} } } } });
    viewer.plugin.representation.structure.themes.colorThemeRegistry.add(THEME_PROVIDER);
    viewer.style = "cartoon";
    viewer.#listen(tell);
    return viewer;
  }

  /** Show a structure; what is seen stays where it was where another was shown before. */
  async show(cif, residues) {
    const { plugin } = this;
    const before = this.structure ? plugin.canvas3d.camera.getSnapshot() : null;
    await plugin.clear();
    this.residues = residues;
    this.indices = residueIndex(residues);
    const data = await plugin.builders.data.rawData({ data: cif });
    const trajectory = await plugin.builders.structure.parseTrajectory(data, "mmcif");
    const model = await plugin.builders.structure.createModel(trajectory);
    this.structure = await plugin.builders.structure.createStructure(model, { name: "model", params: {} });
    await this.#represent();
    if (before) plugin.canvas3d.camera.setState(before, 0);
    else {
      // The box may have grown since the canvas was made.
      plugin.handleResize();
      plugin.managers.camera.reset(undefined, 0);
    }
  }

  async draw(style) {
    this.style = style;
    await this.#represent();
  }

  async #represent() {
    const { builders, managers } = this.plugin;
    const drawn = managers.structure.hierarchy.current.structures[0]?.components ?? [];
    if (drawn.length) await managers.structure.hierarchy.remove(drawn, false);
    for (const kind of ["polymer", ...BESIDE]) {
      const part = await builders.structure.tryCreateComponentStatic(this.structure, kind);
      const type = kind === "polymer" ? STYLES[this.style] : "ball-and-stick";
      if (part) await builders.structure.representation.addRepresentation(part, { type, color: THEME });
    }
  }

  #lociOf(stretches) {
    const structure = this.structure?.cell?.obj?.data ?? this.structure?.obj?.data;
    if (!structure) return null;
    const items = stretches.flatMap((stretch) => pieces(this.residues, stretch)).map(({ chain, from, to, code }) => ({
      auth_asym_id: chain,
      ...(from === to ? { auth_seq_id: from } : { beg_auth_seq_id: from, end_auth_seq_id: to }),
      ...(code ? { pdbx_PDB_ins_code: code } : {}),
    }));
    return this.molstar.StructureElement.Loci.fromSchema(structure, { items });
  }

  highlight(indices) {
    const { lociHighlights } = this.plugin.managers.interactivity;
    const loci = indices.length ? this.#lociOf(indices.map((index) => [index, index])) : null;
    if (loci) lociHighlights.highlightOnly({ loci }, false);
    else lociHighlights.clearHighlights();
  }

  choose(stretches) {
    const { lociSelects } = this.plugin.managers.interactivity;
    lociSelects.deselectAll();
    const loci = stretches.length ? this.#lociOf(stretches) : null;
    if (loci) lociSelects.select({ loci }, false);
  }

  focus(stretches) {
    const loci = this.#lociOf(stretches);
    if (loci) this.plugin.managers.camera.focusLoci(loci, { extraRadius: 6, minRadius: 12, durationMs: 250 });
  }

  reset() {
    this.plugin.managers.structure.focus.clear();
    this.plugin.managers.camera.reset(undefined, 250);
  }

  paint(background) {
    this.plugin.canvas3d.setProps({ renderer: { backgroundColor: background } });
  }

  /** Turn the camera, in degrees about the axes of the screen; for those who cannot drag. */
  turn(right, up) {
    const { camera } = this.plugin.canvas3d;
    const { position, target, up: top } = camera.getSnapshot();
    const turned = rotated(position, target, top, right, up);
    camera.setState({ ...camera.getSnapshot(), ...turned }, 0);
    this.plugin.canvas3d.requestDraw();
  }

  picture() {
    return this.plugin.helpers.viewportScreenshot.getImageDataUri();
  }

  #listen(tell) {
    const { StructureElement, StructureProperties } = this.molstar;
    const indexOf = (loci) => {
      if (!this.indices || !StructureElement.Loci.is(loci)) return null;
      const place = StructureElement.Loci.getFirstLocation(loci);
      if (!place) return null;
      const key = residueKey(
        StructureProperties.chain.auth_asym_id(place),
        StructureProperties.residue.auth_seq_id(place),
        StructureProperties.residue.pdbx_PDB_ins_code(place),
      );
      return this.indices.get(key) ?? null;
    };
    const { hover, click } = this.plugin.behaviors.interaction;
    this.subscriptions = [
      hover.subscribe(({ current }) => tell.hover(indexOf(current.loci))),
      click.subscribe(({ current, button }) => { if (button === 1) tell.choose(indexOf(current.loci)); }),
    ];
  }

  stop() {
    for (const subscription of this.subscriptions ?? []) subscription.unsubscribe();
    this.plugin.dispose();
  }
}

/** Position and upward direction of a camera turned about its target. */
export function rotated(position, target, top, rightDegrees, upDegrees) {
  const away = position.map((value, axis) => value - target[axis]);
  const length = Math.hypot(...top);
  let up = top.map((value) => value / length);
  const spin = (vector, axis, degrees) => {
    const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
    const dot = vector.reduce((sum, value, index) => sum + value * axis[index], 0);
    const cross = [
      axis[1] * vector[2] - axis[2] * vector[1],
      axis[2] * vector[0] - axis[0] * vector[2],
      axis[0] * vector[1] - axis[1] * vector[0],
    ];
    return vector.map((value, index) => value * cos + cross[index] * sin + axis[index] * dot * (1 - cos));
  };
  let moved = spin(away, up, rightDegrees);
  const side = [up[1] * moved[2] - up[2] * moved[1], up[2] * moved[0] - up[0] * moved[2], up[0] * moved[1] - up[1] * moved[0]];
  const norm = Math.hypot(...side) || 1;
  const across = side.map((value) => value / norm);
  moved = spin(moved, across, upDegrees);
  up = spin(up, across, upDegrees);
  return { position: moved.map((value, axis) => value + target[axis]), up };
}
