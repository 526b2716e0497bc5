"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const BANDS = [[90, "#0053d6"], [70, "#65cbf3"], [50, "#ffdb13"], [-Infinity, "#ff7d45"]];
  const MAX_ERROR = data.pae ? data.pae.limit : 0;
  const element = (id) => document.getElementById(id);
  const colourOf = (plddt) => BANDS.find(([least]) => plddt >= least)[1];
  const count = data.plddt.length;
  let text = data.strings.en;

  const make = (tag, content, attributes = {}) => {
    const made = document.createElement(tag);
    if (content !== undefined) made.textContent = content;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };
  const residueName = (index) =>
    `${data.chain_ids[index]} ${data.residue_numbers[index]}${data.insertion_codes[index]} ${data.residue_names[index]}`;

  // PAE arrives as one byte an entry, row by row.
  const errors = data.pae ? Uint8Array.from(atob(data.pae.bytes), (letter) => letter.charCodeAt(0)) : null;
  const errorAt = (row, column) => errors[row * count + column] * data.pae.step;

  const prepare = (canvas, height) => {
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth || 480;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = "#5a6675";
    return { context, width, height };
  };
  const chainSpans = [];
  for (let index = 0; index < count; index += 1) {
    if (index && data.chain_ids[index] === data.chain_ids[index - 1]) chainSpans[chainSpans.length - 1].end = index + 1;
    else chainSpans.push({ id: data.chain_ids[index], start: index, end: index + 1 });
  }
  const several = chainSpans.length > 1;
  // Counted anew in each chain; those that would touch the one before are left out.
  const ticks = () => {
    const rough = count / 6;
    const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((s) => s >= rough) || 2000;
    const found = [];
    for (const { start, end } of chainSpans) {
      for (let index = start + Math.min(step, end - start) - 1; index < end; index += step) {
        if (!found.length || index - found[found.length - 1] >= count / 15) found.push(index);
      }
    }
    return found;
  };
  const chainStarts = () => chainSpans.slice(1).map(({ start }) => start);
  const drawChainNames = (context, left, y, scale) => {
    if (!several) return;
    context.save();
    context.font = "bold 12px system-ui, sans-serif";
    context.fillStyle = "#1b2330";
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const { id, start, end } of chainSpans) {
      const width = (end - start) * scale;
      if (context.measureText(id).width <= width) context.fillText(id, left + start * scale + width / 2, y);
    }
    context.restore();
  };

  const PLOT = { left: 30, right: 6, top: several ? 22 : 8, bottom: 20, height: several ? 194 : 180 };
  const drawPlddt = () => {
    const { context, width, height } = prepare(element("plddt"), PLOT.height);
    const inner = width - PLOT.left - PLOT.right;
    const base = height - PLOT.bottom;
    const y = (value) => base - (value / 100) * (base - PLOT.top);
    const step = inner / count;
    for (let index = 0; index < count; index += 1) {
      context.fillStyle = colourOf(data.plddt[index]);
      const gap = step > 3 ? 0.6 : 0;
      const top = y(data.plddt[index]);
      context.fillRect(PLOT.left + index * step, top, Math.max(step - gap, 0.5), base - top);
    }
    context.strokeStyle = "#c4ccd6";
    context.fillStyle = "#5a6675";
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const value of [0, 50, 70, 90]) {
      context.setLineDash(value ? [3, 3] : []);
      context.beginPath();
      context.moveTo(PLOT.left, y(value) + 0.5);
      context.lineTo(width - PLOT.right, y(value) + 0.5);
      context.stroke();
      context.fillText(String(value), PLOT.left - 5, y(value));
    }
    context.setLineDash([]);
    context.strokeStyle = "#1b2330";
    for (const start of chainStarts()) {
      context.beginPath();
      context.moveTo(PLOT.left + start * step, PLOT.top);
      context.lineTo(PLOT.left + start * step, base);
      context.stroke();
    }
    drawChainNames(context, PLOT.left, 2, step);
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const index of ticks()) {
      context.fillText(String(data.residue_numbers[index]), PLOT.left + (index + 0.5) * step, base + 5);
    }
  };

  const MAP = { left: 40, right: 6, top: several ? 20 : 6, bottom: 66 };
  const mapSide = () => Math.min(element("pae").clientWidth || 440, 460) - MAP.left - MAP.right;
  const errorColour = (fraction) => [
    Math.round(12 + 243 * fraction ** 0.9),
    Math.round(72 + 183 * fraction ** 0.75),
    Math.round(30 + 225 * fraction ** 1.1),
  ];
  const palette = data.pae && Uint32Array.from({ length: 256 }, (_, level) => {
    const [red, green, blue] = errorColour(Math.min((level * data.pae.step) / MAX_ERROR, 1));
    return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  });
  const drawPae = () => {
    if (!data.pae) return;
    const side = mapSide();
    const { context } = prepare(element("pae"), side + MAP.top + MAP.bottom);
    const image = new ImageData(count, count);
    new Uint32Array(image.data.buffer).set(Uint32Array.from(errors, (level) => palette[level]));
    const buffer = document.createElement("canvas");
    buffer.width = count;
    buffer.height = count;
    buffer.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = count > side;
    context.drawImage(buffer, MAP.left, MAP.top, side, side);
    context.strokeStyle = "#8a94a3";
    context.strokeRect(MAP.left + 0.5, MAP.top + 0.5, side - 1, side - 1);
    context.strokeStyle = "#1b2330";
    for (const start of chainStarts()) {
      const at = (start / count) * side;
      context.beginPath();
      context.moveTo(MAP.left + at, MAP.top);
      context.lineTo(MAP.left + at, MAP.top + side);
      context.moveTo(MAP.left, MAP.top + at);
      context.lineTo(MAP.left + side, MAP.top + at);
      context.stroke();
    }
    drawChainNames(context, MAP.left, 2, side / count);
    context.fillStyle = "#5a6675";
    for (const index of ticks()) {
      const at = ((index + 0.5) / count) * side;
      context.textAlign = "center";
      context.textBaseline = "top";
      context.fillText(String(data.residue_numbers[index]), MAP.left + at, MAP.top + side + 4);
      context.textAlign = "right";
      context.textBaseline = "middle";
      context.fillText(String(data.residue_numbers[index]), MAP.left - 4, MAP.top + at);
    }
    context.textAlign = "center";
    context.textBaseline = "top";
    context.fillText(text.scored, MAP.left + side / 2, MAP.top + side + 18);
    context.save();
    context.translate(2, MAP.top + side / 2);
    context.rotate(-Math.PI / 2);
    context.fillText(text.aligned_on, 0, 0);
    context.restore();
    const scaleTop = MAP.top + side + 38;
    const scaleWidth = Math.min(200, side);
    for (let pixel = 0; pixel < scaleWidth; pixel += 1) {
      context.fillStyle = `rgb(${errorColour(pixel / scaleWidth).join(",")})`;
      context.fillRect(MAP.left + pixel, scaleTop, 1.5, 10);
    }
    context.strokeStyle = "#8a94a3";
    context.strokeRect(MAP.left + 0.5, scaleTop + 0.5, scaleWidth, 10);
    context.fillStyle = "#5a6675";
    context.textAlign = "left";
    for (let value = 0; value <= MAX_ERROR; value += 10) {
      const label = value + 10 > MAX_ERROR ? `${value} ${text.angstrom}` : String(value);
      context.fillText(label, MAP.left + (value / MAX_ERROR) * scaleWidth - 3, scaleTop + 14);
    }
  };

  let viewer = null;
  let style = "cartoon";
  let picked = [];
  const drawStructure = () => {
    const colorfunc = (atom) => colourOf(atom.b);
    viewer.removeAllLabels();
    if (style === "cartoon") viewer.setStyle({}, { cartoon: { colorfunc, arrows: true } });
    else viewer.setStyle({}, { stick: { colorfunc, radius: 0.14 }, cartoon: { colorfunc, opacity: 0.35 } });
    for (const index of picked) {
      const selection = { chain: data.chain_ids[index], resi: data.residue_numbers[index] };
      viewer.addStyle(selection, { stick: { color: "#1b2330", radius: 0.22 } });
      viewer.addLabel(residueName(index), { fontSize: 12, backgroundOpacity: 0.75, inFront: true }, selection);
    }
    viewer.render();
  };
  const pick = (indices) => {
    picked = [...new Set(indices)];
    if (!viewer) return;
    drawStructure();
    const [chain, resi] = [picked.map((i) => data.chain_ids[i]), picked.map((i) => data.residue_numbers[i])];
    viewer.zoomTo({ predicate: (atom) => picked.some((_, k) => atom.chain === chain[k] && atom.resi === resi[k]), expand: 9, byres: true }, 300);
  };
  const startViewer = () => {
    try {
      const probe = document.createElement("canvas");
      if (!(probe.getContext("webgl2") || probe.getContext("webgl"))) throw new Error("no WebGL");
      viewer = window.$3Dmol.createViewer(element("viewer"), { backgroundColor: "white", antialias: true });
      viewer.addModel(data.cif, "cif", { doAssembly: false });
      drawStructure();
      viewer.zoomTo();
      viewer.render();
    } catch (error) {
      viewer = null;
      element("viewer").hidden = true;
      element("controls").hidden = true;
      element("viewer-notice").hidden = false;
    }
    document.body.dataset.viewer = viewer ? "shown" : "unavailable";
  };

  const residueUnder = (canvas, event, frame, size) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left - frame.left) / size) * count);
    const row = Math.floor(((event.clientY - box.top - frame.top) / size) * count);
    const inside = (index) => index >= 0 && index < count;
    return { column, row, columnInside: inside(column), rowInside: inside(row) };
  };
  const plddtUnder = (event) => {
    const canvas = element("plddt");
    const found = residueUnder(canvas, event, PLOT, canvas.clientWidth - PLOT.left - PLOT.right);
    return found.columnInside ? found.column : null;
  };
  const paeUnder = (event) => {
    const found = residueUnder(element("pae"), event, MAP, mapSide());
    return found.columnInside && found.rowInside ? [found.row, found.column] : null;
  };
  const listen = () => {
    element("plddt").addEventListener("pointermove", (event) => {
      const index = plddtUnder(event);
      element("plddt-readout").textContent = index === null ? text.hint
        : `${text.residue} ${residueName(index)}: pLDDT ${data.plddt[index].toFixed(1)}`;
    });
    element("plddt").addEventListener("click", (event) => {
      const index = plddtUnder(event);
      if (index !== null) pick([index]);
    });
    element("pae").addEventListener("pointermove", (event) => {
      const found = paeUnder(event);
      element("pae-readout").textContent = found === null ? text.hint
        : `${text.aligned_on} ${residueName(found[0])}, ${text.scored} ${residueName(found[1])}: ${errorAt(...found).toFixed(1)} ${text.angstrom}`;
    });
    element("pae").addEventListener("click", (event) => {
      const found = paeUnder(event);
      if (found !== null) pick(found);
    });
    for (const button of document.querySelectorAll("[data-style]")) {
      button.addEventListener("click", () => {
        style = button.dataset.style;
        for (const other of document.querySelectorAll("[data-style]")) other.setAttribute("aria-pressed", String(other === button));
        drawStructure();
      });
    }
    element("reset").addEventListener("click", () => {
      picked = [];
      drawStructure();
      viewer.zoomTo();
      viewer.render();
    });
    for (const button of document.querySelectorAll("[data-language]")) {
      button.addEventListener("click", () => speak(button.dataset.language));
    }
    const save = (content, type, name) => {
      const link = make("a", undefined, { download: name, href: URL.createObjectURL(new Blob([content], { type })) });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    };
    element("download-cif").addEventListener("click", () => save(data.cif, "chemical/x-mmcif", `${data.file_stem}.cif`));
    element("download-json").addEventListener("click", () =>
      save(JSON.stringify(data.confidence, null, 1), "application/json", `${data.file_stem}.confidence.json`));
    let waiting = 0;
    window.addEventListener("resize", () => {
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(() => {
        drawPlddt();
        drawPae();
        if (viewer) viewer.resize();
      });
    });
  };

  const shown = (value) => {
    if (value === null || value === undefined || value === "") return "–";
    if (typeof value === "boolean") return value ? text.yes : text.no;
    if (typeof value === "number") return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
    return String(value);
  };
  // How many there are is told apart from the list where the list names only the worst of them.
  const some = (list, total = list.length) => {
    if (!total) return text.none;
    const first = list.slice(0, 4).join(", ");
    return total > 4 ? `${total}: ${first}, …` : `${total}: ${first}`;
  };
  const fillTable = (table, rows) => {
    const body = make("tbody");
    for (const [name, value] of rows) {
      const row = make("tr");
      row.append(make("th", name, { scope: "row" }), make("td", shown(value)));
      body.append(row);
    }
    table.replaceChildren(body);
  };
  const geometryRows = () => {
    const found = data.validity;
    if (!found) return [["–", text.none]];
    // Floored, so that only what is whole is 100 %.
    const fraction = (kind) => `${(Math.floor(kind.within_tolerance * 1000 + 1e-9) / 10).toFixed(1)} % (${kind.count})`;
    const values = {
      bonds: fraction(found.bonds),
      angles: fraction(found.angles),
      d_residues: some(found.d_residues),
      wrong_side_chain_chirality: some(found.wrong_side_chain_chirality),
      flat_centres: some(found.flat_centres),
      chirality_unchecked: some(found.chirality_unchecked),
      cis_other: some(found.peptide_bonds.cis_other),
      twisted: some(found.peptide_bonds.twisted),
      clashes: some(found.clashes.map((clash) => `${clash.first} – ${clash.second} (${clash.distance_angstrom.toFixed(1)} ${text.angstrom})`), found.clash_count),
      clash_score: found.clash_score,
      chain_breaks: some(found.chain_breaks.map((gap) => `${gap.before} – ${gap.after}`)),
      not_finite: some(found.not_finite),
      skipped: some(found.skipped),
    };
    return Object.entries(values).map(([key, value]) => [text.geometry[key], value]);
  };
  const provenanceRows = () => Object.entries(data.provenance).flatMap(([key, value]) => {
    const label = (name) => text.labels[name] || name.replaceAll("_", " ");
    if (value === null || typeof value !== "object") return [[label(key), value]];
    if (Array.isArray(value)) return value.map((one) => [label(key), one]);
    return Object.entries(value).map(([inner, innerValue]) => [`${label(key)}: ${label(inner)}`, innerValue]);
  });
  const fillGrid = (table, titles, rows, note) => {
    const head = make("thead");
    const first = make("tr");
    for (const title of titles) first.append(make("th", title, { scope: "col" }));
    head.append(first);
    const body = make("tbody");
    for (const values of rows) {
      const row = make("tr");
      for (const value of values) row.append(make("td", String(value)));
      body.append(row);
    }
    table.replaceChildren(...(note ? [make("caption", note)] : []), head, body);
  };
  const fillSamples = () => {
    const [rank, seed, sample, plddt, ptm] = text.samples_columns;
    const scores = [["ptm", ptm], ["iptm", "ipTM"]].filter(([name]) => data.samples[0][name] !== null);
    const rows = data.samples.map((one, place) => [
      place, one.seed, one.sample, one.mean_plddt.toFixed(1), ...scores.map(([name]) => one[name].toFixed(3)),
    ]);
    const rule = text.rules[data.ranked_by] || data.ranked_by;
    const columns = [rank, seed, sample, plddt, ...scores.map(([, column]) => column)];
    fillGrid(element("samples"), columns, rows, filled(text.samples_note, { rule }));
  };
  const fillChains = () => {
    element("chains-part").hidden = !several;
    if (!several) return;
    const pairs = new Map((data.chain_pairs || []).map((pair) => [`${pair.aligned_on}\n${pair.scored}`, pair.mean_pae_angstrom]));
    const ids = data.chain_pairs ? data.chains.map((chain) => chain.chain_id) : [];
    const [name, residues, plddt] = text.chains_columns;
    const rows = data.chains.map((chain) => [
      chain.chain_id, chain.residues, chain.mean_plddt.toFixed(1),
      ...ids.map((id) => (id === chain.chain_id ? "–" : pairs.get(`${chain.chain_id}\n${id}`).toFixed(1))),
    ]);
    const columns = [name, residues, plddt, ...ids.map((id) => `PAE → ${id}`)];
    fillGrid(element("chains"), columns, rows, data.chain_pairs ? text.chains_note : "");
  };
  const filled = (template, values) => template.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const termsOf = (made) => {
    const weights = made.weights_set === null ? text.terms_own : filled(text.terms_set, { weights: made.weights_set });
    return filled(made.non_commercial ? text.terms_non_commercial : text.terms, { weights, licence: made.weights_licence });
  };

  function speak(chosen) {
    text = data.strings[chosen];
    document.documentElement.lang = chosen;
    for (const button of document.querySelectorAll("[data-language]")) button.setAttribute("aria-pressed", String(button.dataset.language === chosen));
    for (const node of document.querySelectorAll("[data-text]")) node.textContent = text[node.dataset.text];
    for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", text[node.dataset.label]);
    element("summary").textContent = data.summaries[chosen];
    element("viewer-notice").textContent = text.no_viewer;
    element("bands").replaceChildren(...text.bands.map((label, band) => {
      const item = make("li");
      item.append(make("span", "", { style: `background: ${BANDS[band][1]}` }), label);
      return item;
    }));
    const parts = ["plddt", ...(data.pae ? ["pae"] : []), ...(data.samples[0].ptm === null ? [] : ["ptm"]), "limits"];
    const reading = parts.map((part) => text.reading[part]);
    element("reading").replaceChildren(...reading.flatMap(([title, body]) => [make("h3", title), make("p", body)]));
    const helps = data.takes_alignment ? ` ${text.verdict_alignment}` : "";
    const verdict = data.mean_plddt < 50 ? text.verdict_very_low + helps : data.mean_plddt < 70 ? text.verdict_low : "";
    element("verdict").textContent = verdict;
    element("verdict").hidden = !verdict;
    element("plddt-readout").textContent = text.hint;
    element("pae-readout").textContent = text.hint;
    element("pae-part").hidden = !data.pae;
    element("no-pae").hidden = Boolean(data.pae);
    element("no-pae").textContent = filled(several ? text.no_pae_chains : text.no_pae, { family: data.provenance.family });
    element("terms").textContent = termsOf(data.provenance);
    element("restricted").textContent = termsOf(data.provenance);
    element("restricted").hidden = !data.provenance.non_commercial;
    fillSamples();
    fillChains();
    fillTable(element("validity"), geometryRows());
    fillTable(element("provenance"), provenanceRows());
    drawPlddt();
    drawPae();
  }

  listen();
  const asked = new URLSearchParams(window.location.search).get("language");
  speak(data.strings[asked] ? asked : (navigator.language || "en").toLowerCase().startsWith("ko") ? "ko" : "en");
  startViewer();
})();
