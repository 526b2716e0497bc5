(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const colourOf = (plddt) => bandOf(plddt).colour;
  const count = data.plddt.length;
  let text = data.strings.en;

  const make = (tag, content, attributes = {}) => {
    const made = document.createElement(tag);
    if (content !== undefined) made.textContent = content;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };

  // PAE arrives as one byte an entry, row by row.
  const map = data.pae && new PaeMap(
    { side: count, factor: 1, step: data.pae.step, limit: data.pae.limit },
    Uint8Array.from(atob(data.pae.bytes), (letter) => letter.charCodeAt(0)),
  );

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
  const spans = chainSpans(data.chain_ids);
  const several = spans.length > 1;
  const chainStarts = () => spans.slice(1).map(({ start }) => start);

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
    if (several) drawChainNames(context, spans, PLOT.left, 2, step, "#1b2330");
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const index of ticks(spans)) {
      context.fillText(String(data.numbers[index]), PLOT.left + (index + 0.5) * step, base + 5);
    }
  };

  const MAP = { left: 40, right: 6, top: several ? 20 : 6, bottom: 66 };
  const mapSide = () => Math.min(element("pae").clientWidth || 440, 460) - MAP.left - MAP.right;
  const drawPae = () => {
    if (!map) return;
    const side = mapSide();
    const { context } = prepare(element("pae"), side + MAP.top + MAP.bottom);
    const buffer = document.createElement("canvas");
    buffer.width = count;
    buffer.height = count;
    buffer.getContext("2d").putImageData(new ImageData(map.pixels(), count, count), 0, 0);
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
    if (several) drawChainNames(context, spans, MAP.left, 2, side / count, "#1b2330");
    context.fillStyle = "#5a6675";
    for (const index of ticks(spans)) {
      const at = ((index + 0.5) / count) * side;
      context.textAlign = "center";
      context.textBaseline = "top";
      context.fillText(String(data.numbers[index]), MAP.left + at, MAP.top + side + 4);
      context.textAlign = "right";
      context.textBaseline = "middle";
      context.fillText(String(data.numbers[index]), MAP.left - 4, MAP.top + at);
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
      context.fillStyle = `rgb(${rampAt(pixel / scaleWidth).join(",")})`;
      context.fillRect(MAP.left + pixel, scaleTop, 1.5, 10);
    }
    context.strokeStyle = "#8a94a3";
    context.strokeRect(MAP.left + 0.5, scaleTop + 0.5, scaleWidth, 10);
    context.fillStyle = "#5a6675";
    context.textAlign = "left";
    for (let value = 0; value <= map.limit; value += 10) {
      const label = value + 10 > map.limit ? `${value} ${text.angstrom}` : String(value);
      context.fillText(label, MAP.left + (value / map.limit) * scaleWidth - 3, scaleTop + 14);
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
      const selection = { chain: data.chain_ids[index], resi: data.numbers[index] };
      viewer.addStyle(selection, { stick: { color: "#1b2330", radius: 0.22 } });
      viewer.addLabel(residueName(data, index), { fontSize: 12, backgroundOpacity: 0.75, inFront: true }, selection);
    }
    viewer.render();
  };
  const pick = (indices) => {
    picked = [...new Set(indices)];
    if (!viewer) return;
    drawStructure();
    const [chain, resi] = [picked.map((i) => data.chain_ids[i]), picked.map((i) => data.numbers[i])];
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
    return {
      column: indexAt((event.clientX - box.left - frame.left) / size, count),
      row: indexAt((event.clientY - box.top - frame.top) / size, count),
    };
  };
  const plddtUnder = (event) => {
    const canvas = element("plddt");
    return residueUnder(canvas, event, PLOT, canvas.clientWidth - PLOT.left - PLOT.right).column;
  };
  const paeUnder = (event) => {
    const { row, column } = residueUnder(element("pae"), event, MAP, mapSide());
    return row === null || column === null ? null : [row, column];
  };
  const listen = () => {
    element("plddt").addEventListener("pointermove", (event) => {
      const index = plddtUnder(event);
      element("plddt-readout").textContent = index === null ? text.hint
        : `${text.residue} ${residueName(data, index)}: pLDDT ${data.plddt[index].toFixed(1)}`;
    });
    element("plddt").addEventListener("click", (event) => {
      const index = plddtUnder(event);
      if (index !== null) pick([index]);
    });
    element("pae").addEventListener("pointermove", (event) => {
      const found = paeUnder(event);
      element("pae-readout").textContent = found === null ? text.hint
        : `${text.aligned_on} ${residueName(data, found[0])}, ${text.scored} ${residueName(data, found[1])}: ${map.mean(...found).toFixed(1)} ${text.angstrom}`;
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
  const fillTemplates = () => {
    element("templates-part").hidden = !data.templates.length;
    if (!data.templates.length) return;
    const rows = data.templates.map((one) => [
      one.chain ? `${one.entry}, ${one.chain}` : one.entry,
      one.chain_ids.join(", "),
      filled(one.origin === "given" ? text.templates_given : text.templates_searched, one),
      `${(100 * one.identity).toFixed(0)} %`,
      `${(100 * one.coverage).toFixed(0)} %`,
      one.e_value === null ? "–" : one.e_value.toPrecision(2),
      one.year === null ? "–" : one.year,
    ]);
    fillGrid(element("templates"), text.templates_columns, rows, text.templates_note);
  };
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
      item.append(make("span", "", { style: `background: ${BANDS[band].colour}` }), label);
      return item;
    }));
    const parts = ["plddt", ...(data.pae ? ["pae"] : []), ...(data.samples[0].ptm === null ? [] : ["ptm"]), "limits"];
    const reading = parts.map((part) => text.reading[part]);
    const side_chains = data.side_chains[chosen];
    element("reading").replaceChildren(...reading.flatMap(([title, body]) => [make("h3", title), make("p", filled(body, { side_chains }))]));
    element("verdict").replaceChildren(...data.verdict[chosen].map((sentence) => make("p", sentence)));
    element("verdict").dataset.level = data.verdict.level;
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
    fillTemplates();
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
