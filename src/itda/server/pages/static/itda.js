// What the pages cannot do without a script; each works without it too, less comfortably.

const PASTE_LIMIT = 400_000;

/** Tell the server the reader's time zone, in which it writes times. */
function rememberZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone || document.cookie.includes(`itda_zone=${encodeURIComponent(zone)}`)) return;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  const year = 365 * 24 * 3600;
  document.cookie =
    `itda_zone=${encodeURIComponent(zone)}; Path=/; Max-Age=${year}; SameSite=Lax${secure}`;
}

/** Put a text into a field as if it had been typed. */
function fill(field, text) {
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

/** Take files that are dropped on the form: one small text goes into the field, to be seen. */
async function takeFiles(form, files) {
  const input = form.querySelector("input[type=file]");
  const field = form.querySelector("textarea");
  const only = files.length === 1 ? files[0] : null;
  if (only && only.size <= PASTE_LIMIT) {
    const bytes = new Uint8Array(await only.arrayBuffer());
    try {
      const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
      if (!text.includes("\0")) {
        input.value = "";
        fill(field, text);
        return;
      }
    } catch {
      // Not text: it is sent as the file that it is.
    }
  }
  field.value = "";
  const transfer = new DataTransfer();
  for (const file of files) transfer.items.add(file);
  input.files = transfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

function holdsFiles(event) {
  return Array.from(event.dataTransfer?.types ?? []).includes("Files");
}

for (const type of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(type, (event) => {
    const form = document.querySelector("form[data-drop]");
    if (!form || !holdsFiles(event)) return;
    // What is dropped on the field of a template is meant for that field.
    if (event.target.closest("input[name=template]")) return;
    // Also beside the form: else the browser would leave the page for the file.
    event.preventDefault();
    const zone = form.querySelector(".drop");
    zone.classList.toggle("over", type === "dragover");
    if (type === "drop") takeFiles(form, event.dataTransfer.files);
  });
}

document.addEventListener("click", async (event) => {
  const filler = event.target.closest("[data-fill]");
  if (filler) {
    const field = document.querySelector(filler.dataset.fill);
    if (field) {
      event.preventDefault();
      const files = field.form?.querySelector("input[type=file]");
      if (files) files.value = "";
      fill(field, filler.dataset.text);
      field.focus();
    }
  }
  const copier = event.target.closest("[data-copy]");
  if (copier) {
    const source = document.querySelector(copier.dataset.copy);
    const said = document.querySelector(copier.dataset.said);
    const text = source.value ?? source.textContent;
    try {
      await navigator.clipboard.writeText(text.trim());
    } catch {
      // Without TLS there is no clipboard: what is selected can be copied by hand.
      if (source.select) source.select();
      else getSelection().selectAllChildren(source);
      return;
    }
    if (said) said.textContent = copier.dataset.done;
  }
});

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

/** Say in the place of an answer why there is none. */
function tellInstead(target, sentence, ...lines) {
  const notice = document.createElement("div");
  notice.className = "notice bad";
  notice.setAttribute("role", "alert");
  for (const [index, line] of [sentence, ...lines].entries()) {
    if (!line) continue;
    const paragraph = document.createElement("p");
    paragraph.textContent = line;
    // What the server says below the page's sentence is in English.
    if (index) paragraph.lang = "en";
    notice.append(paragraph);
  }
  target.replaceChildren(notice);
}

document.addEventListener("htmx:config:request", (event) => {
  const { ctx } = event.detail;
  const form = ctx.sourceElement;
  const most = Number(form.dataset?.mostBytes ?? 0);
  if (!most) return;
  const files = Array.from(form.querySelectorAll("input[type=file]"), (input) => [...input.files]);
  const size = files.flat().reduce((sum, file) => sum + file.size, 0);
  if (size <= most) return;
  event.preventDefault();
  tellInstead(ctx.target, form.dataset.tooLarge);
});

// What is refused before any page is asked comes as JSON.
document.addEventListener("htmx:before:response", (event) => {
  const { ctx } = event.detail;
  const { raw, headers } = ctx.response;
  const sentence = ctx.sourceElement.dataset?.refused;
  if (!sentence || !(headers.get("content-type") ?? "").includes("json")) return;
  event.preventDefault();
  raw.json().then((problem) => tellInstead(ctx.target, sentence, problem.detail, problem.hint));
});

document.addEventListener("htmx:error", (event) => {
  const { ctx } = event.detail;
  const sentence = ctx?.sourceElement?.dataset?.unreached;
  if (sentence) tellInstead(ctx.target, sentence);
});

// A choice that is made by changing a field needs no button.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
});

for (const element of document.querySelectorAll("[data-with-script]")) element.hidden = false;
for (const element of document.querySelectorAll("[data-without-script]")) element.hidden = true;
rememberZone();
