// The view of a result: the structure, two plots, and what links them.

import { PaeMap, bandOf, chainSpans, colourNumber, filled, meanPlddt, residueName, stretchName } from "./core.js";
import { Link, one, only } from "./link.js";
import { PaePlot } from "./pae.js";
import { PlddtPlot } from "./plddt.js";
import { MolstarViewer } from "./viewer_molstar.js";
import { SimpleViewer } from "./viewer_simple.js";

const VIEWERS = { molstar: MolstarViewer, simple: SimpleViewer };

async function get(address, kind) {
  const answer = await fetch(address, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer[kind]();
}

class ResultView extends HTMLElement {
  connectedCallback() {
    if (this.link) return;
    this.words = JSON.parse(this.dataset.words);
    this.link = new Link();
    this.place = (name) => this.querySelector(`[data-part="${name}"]`);
    this.plddt = new PlddtPlot(this.place("plddt"), this.link);
    this.pae = this.place("pae") ? new PaePlot(this.place("pae"), this.link, this.words) : null;
    this.#listen();
    this.#followTheme();
    this.rank = Number(this.dataset.sample || 0);
    this.ready = this.#start();
  }

  disconnectedCallback() {
    this.plddt?.stop();
    this.pae?.stop();
    this.viewer?.stop();
    this.scheme?.removeEventListener("change", this.repaint);
    this.link = null;
  }

  async #start() {
    const shown = this.#show(this.rank);
    try {
      this.viewer = await VIEWERS[this.dataset.viewer].create(this.dataset.viewerAddress, this.place("viewer"), {
        hover: (index) => this.link.hover(index === null ? null : one(index), "viewer"),
        choose: (index) => this.link.choose(index === null ? null : only(index), "viewer"),
      });
      this.repaint();
    } catch (error) {
      this.#withoutViewer(error);
    }
    await shown;
    await this.#showStructure();
  }

  /** Show another sample: plots first, then the structure. */
  async show(rank) {
    this.ready = this.#show(rank).then(() => this.#showStructure());
    return this.ready;
  }

  async #show(rank) {
    this.rank = rank;
    this.dataset.state = "loading";
    const query = `?sample=${rank}`;
    try {
      const [residues, cif] = await Promise.all([
        get(`${this.dataset.base}/data.json${query}`, "json"),
        get(`${this.dataset.base}/structure.cif${query}`, "text"),
      ]);
      if (rank !== this.rank) return;
      Object.assign(this, { residues, cif, spans: chainSpans(residues.chain_ids), map: null });
      this.plddt.show(residues, this.spans);
      this.#fillTable();
      this.#readout();
      if (this.pae && residues.pae) {
        const bytes = new Uint8Array(await get(`${this.dataset.base}/pae.bin${query}`, "arrayBuffer"));
        if (rank !== this.rank) return;
        this.map = new PaeMap(residues.pae, bytes);
        this.pae.show(residues, this.spans, this.map);
      }
      this.dataset.state = "shown";
    } catch (error) {
      this.dataset.state = "failed";
      this.#notice("problem", filled(this.words.failed, { why: error.message }));
    }
  }

  async #showStructure() {
    if (!this.viewer || !this.cif) return;
    try {
      await this.viewer.show(this.cif, this.residues);
      this.viewer.choose(this.link.chosenStretches);
      this.dataset.viewerState = "shown";
    } catch (error) {
      this.#withoutViewer(error);
    }
  }

  #withoutViewer(error) {
    this.viewer = null;
    this.dataset.viewerState = "unavailable";
    this.dataset.viewerProblem = error.message;
    this.place("viewer").hidden = true;
    this.place("viewer-controls").hidden = true;
    this.#notice("viewer-notice", this.words.no_viewer);
  }

  #notice(part, text) {
    const element = this.place(part);
    element.textContent = text;
    element.hidden = !text;
  }

  #listen() {
    this.link.addEventListener("hover", ({ detail }) => {
      if (detail.by !== "viewer") this.viewer?.highlight(this.link.hoveredResidues);
      this.#readout();
      if (detail.by.endsWith("-key")) this.#say(this.#hoverText() || this.words.nothing);
    });
    this.link.addEventListener("choose", ({ detail }) => {
      this.viewer?.choose(this.link.chosenStretches);
      this.place("clear").disabled = !this.link.chosen;
      this.place("focus").disabled = !this.link.chosen;
      this.#readout();
      this.#markTable();
      if (detail.by !== "plddt" && detail.by !== "pae") this.#say(this.#choiceText());
    });
    for (const name of ["pointerup", "keyup"]) this.addEventListener(name, (event) => {
      if (event.target.closest?.('[data-part="plddt"], [data-part="pae"]')) this.#say(this.#choiceText() || this.#hoverText());
    });
    this.addEventListener("click", (event) => this.#click(event));
    this.place("table").addEventListener("toggle", () => this.#fillTable());
    this.place("viewer").addEventListener("keydown", (event) => this.#turn(event));
  }

  #click(event) {
    const button = event.target.closest("button");
    if (!button) return;
    const { style, sample, action, residue } = button.dataset;
    if (style) {
      this.#press("[data-style]", button);
      this.viewer?.draw(style).then(() => this.viewer.choose(this.link.chosenStretches));
    }
    if (sample !== undefined) this.#switch(Number(sample), button);
    if (residue !== undefined) this.link.choose(only(Number(residue)), "table");
    if (action === "clear") this.link.clear("button");
    if (action === "focus") this.viewer?.focus(this.link.chosenStretches);
    if (action === "reset") this.viewer?.reset();
    if (action === "picture") this.#savePicture();
  }

  #press(which, button) {
    for (const other of this.querySelectorAll(which)) other.setAttribute("aria-pressed", String(other === button));
  }

  #switch(rank, button) {
    this.#press("[data-sample]", button);
    for (const row of this.querySelectorAll("tr[data-rank]")) row.toggleAttribute("data-shown", Number(row.dataset.rank) === rank);
    let told = false;
    for (const words of this.querySelectorAll("[data-words-of]")) {
      words.hidden = Number(words.dataset.wordsOf) !== rank;
      told ||= !words.hidden;
    }
    this.place("untold").hidden = told;
    const table = this.place("csv");
    table.href = `${this.dataset.base}/residues.csv?sample=${rank}`;
    this.show(rank).then(() => this.#say(filled(this.words.sample_shown, { rank })));
  }

  async #savePicture() {
    const link = document.createElement("a");
    link.download = `${this.dataset.stem}.png`;
    link.href = await this.viewer.picture();
    link.click();
  }

  #turn(event) {
    const turns = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, 10], ArrowDown: [0, -10] };
    if (!turns[event.key] || !this.viewer) return;
    this.viewer.turn(...turns[event.key]);
    event.preventDefault();
  }

  #error(row, column) {
    const values = { mean: this.map.mean(row, column).toFixed(1), most: this.map.maximum(row, column).toFixed(1) };
    return filled(this.map.factor > 1 ? this.words.error_coarse : this.words.error, values);
  }

  #hoverText() {
    const { hovered } = this.link;
    if (!hovered || !this.residues) return "";
    const { row, column } = hovered;
    const about = (index) => `${residueName(this.residues, index)}: pLDDT ${this.residues.plddt[index].toFixed(1)} (${this.words[bandOf(this.residues.plddt[index]).name]})`;
    if (row === column || !this.map) return about(row);
    return filled(this.words.pair, {
      row: residueName(this.residues, row),
      column: residueName(this.residues, column),
      error: this.#error(row, column),
    });
  }

  #choiceText() {
    const { chosen } = this.link;
    if (!chosen || !this.residues) return "";
    const { rows, columns } = chosen;
    const stretches = this.link.chosenStretches;
    const parts = stretches.map((part) => filled(this.words.chosen, {
      name: stretchName(this.residues, part),
      count: part[1] - part[0] + 1,
      plddt: meanPlddt(this.residues.plddt, part).toFixed(1),
    }));
    if (this.map && (stretches.length > 1 || rows[0] !== rows[1])) parts.push(filled(this.words.chosen_error, { error: this.map.meanOver(rows, columns).toFixed(1) }));
    return parts.join(" · ");
  }

  #readout() {
    this.place("readout").textContent = this.#hoverText() || this.#choiceText() || this.words.hint;
  }

  /** Tell a screen reader. */
  #say(text) {
    if (text) this.place("live").textContent = text;
  }

  #fillTable() {
    const details = this.place("table");
    if (!details.open || !this.residues || details.dataset.rank === String(this.rank)) return;
    details.dataset.rank = String(this.rank);
    const rows = this.residues.plddt.map((value, index) => {
      const row = document.createElement("tr");
      row.dataset.index = index;
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.residue = index;
      button.textContent = residueName(this.residues, index);
      const name = document.createElement("th");
      name.scope = "row";
      name.append(button);
      row.append(name, ...[value.toFixed(1), this.words[bandOf(value).name], ...(this.pae ? ["–"] : [])].map((text) => {
        const cell = document.createElement("td");
        cell.textContent = text;
        return cell;
      }));
      return row;
    });
    details.querySelector("tbody").replaceChildren(...rows);
    this.#markTable();
  }

  /** In the table, the errors of all residues when the chosen one is superposed. */
  #markTable() {
    const details = this.place("table");
    if (!details.open || !this.residues) return;
    const from = this.link.chosen?.rows[0];
    for (const row of details.querySelectorAll("tbody tr")) {
      const index = Number(row.dataset.index);
      row.toggleAttribute("data-shown", this.link.chosenStretches.some(([first, last]) => index >= first && index <= last));
      if (this.pae && this.map) row.lastElementChild.textContent = from === undefined ? "–" : this.map.mean(from, index).toFixed(1);
    }
  }

  #followTheme() {
    this.repaint = () => {
      const paper = getComputedStyle(this).getPropertyValue("--result-paper").trim();
      if (/^#[0-9a-f]{6}$/i.test(paper)) this.viewer?.paint(colourNumber(paper));
      this.plddt.surface.request();
      this.pae?.surface.request();
    };
    this.scheme = window.matchMedia("(prefers-color-scheme: dark)");
    this.scheme.addEventListener("change", this.repaint);
  }
}

customElements.define("itda-result", ResultView);

