// What is pointed at and what is chosen, for all views of one sample: each tells it, all listen.

export class Link extends EventTarget {
  /** {row, column}: 0-based residues; the same twice where one residue is meant. Or null. */
  hovered = null;
  hoveredIn = null;
  /** {rows: [first, last], columns: [first, last]}, or null. */
  chosen = null;

  /**
   * A view may only take away what it pointed at itself: another's pointer may be there by now.
   * @param {string} by which view says so, with "-key" where it was the keyboard; "button" for none
   */
  hover(hovered, by) {
    const [view] = by.split("-");
    if (!hovered && view !== "button" && this.hoveredIn && this.hoveredIn !== view) return;
    const same = this.hovered?.row === hovered?.row && this.hovered?.column === hovered?.column;
    if (same && Boolean(this.hovered) === Boolean(hovered)) {
      if (hovered) this.hoveredIn = view;
      return;
    }
    this.hovered = hovered;
    this.hoveredIn = hovered ? view : null;
    this.dispatchEvent(new CustomEvent("hover", { detail: { by } }));
  }

  choose(chosen, by) {
    this.chosen = chosen;
    this.dispatchEvent(new CustomEvent("choose", { detail: { by } }));
  }

  clear(by) {
    this.hover(null, by);
    this.choose(null, by);
  }

  get hoveredResidues() {
    return this.hovered ? [...new Set([this.hovered.row, this.hovered.column])] : [];
  }

  get chosenStretches() {
    if (!this.chosen) return [];
    const { rows, columns } = this.chosen;
    return rows[0] === columns[0] && rows[1] === columns[1] ? [rows] : [rows, columns];
  }
}

/** One residue, as something hovered and as something chosen. */
export const one = (index) => ({ row: index, column: index });
export const only = (first, last = first) => ({ rows: [first, last], columns: [first, last] });
