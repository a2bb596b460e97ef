/* Filters, order, the chosen result, and the answer to "Which should I ship?". */

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];

/* Answers before the library has drawn anything. */
function answer() {
  const form = byId("choice");
  if (!form) return;
  const limits = { accuracy: Number(form.accuracy.value) / 100, p95: Number(form.p95.value) * 1000 };
  const place = byId("answer");
  if (form.accuracy.value === "" || !(limits.accuracy >= 0 && limits.accuracy <= 1) || !(limits.p95 > 0)) {
    place.textContent = "Give a top-1 from 0 to 100 % and a p95 above 0 ms.";
    return;
  }
  const found = chooseArtifact(data.results, form.device.value, limits.accuracy, limits.p95, form.model.value);
  place.replaceChildren(...(found.chosen === null ? missed(found) : won(found)));
}

function paragraph(name, ...parts) {
  const line = document.createElement("p");
  line.className = name;
  line.append(...parts);
  return line;
}

function link(index) {
  const row = data.results[index];
  const anchor = document.createElement("a");
  anchor.href = "#detail";
  anchor.dataset.show = index;
  anchor.textContent = `${row.texts.artifact[0]} of ${row.texts.artifact[1]}`;
  return anchor;
}

function facts(index) {
  const t = data.results[index].texts;
  const emulated = data.results[index].emulated ? " EMULATED: latencies mean nothing." : "";
  return `: ${t.size[0]} MB, top-1 ${t.top1[0]} % (${t.top1[1].replace(" · ", ", ")}), p95 ${t.p95[0]} ms, p50 ${t.p50[0]} ms; ${t.ran[0]}, ${t.ran[1]}; ${t.date[0]}.${emulated}`;
}

function won(found) {
  const strong = document.createElement("strong");
  strong.append(link(found.chosen));
  const others = found.fitting > 1 ? [paragraph("soft", `Others that fit: ${found.fitting - 1}, none of them smaller.`)] : [];
  return [paragraph("won", "Ship ", strong, facts(found.chosen)), ...others, ...silent(found)];
}

function missed(found) {
  const near = found.nearest.map(({ index, short, over }) => {
    const by = [short ? `${digits(short * 100)} points of accuracy short` : "", over ? `p95 ${digits(over * 100)} % too long` : ""];
    return paragraph("soft", "Nearest: ", link(index), ` (${by.filter(Boolean).join(", ")})`, facts(index));
  });
  return [paragraph("missed", "None fits."), ...near, ...silent(found)];
}

function silent(found) {
  if (!found.unfit.length) return [];
  const why = data.results[found.unfit[0]].unfit;
  return [paragraph("soft", `${found.unfit.length} cannot be judged, such as `, link(found.unfit[0]), `: ${why}`)];
}

/* Filters and order. */
const state = { sort: "", direction: 1 };

function matches(row) {
  return all("[data-filter]").every((select) => !select.value || row[select.dataset.filter] === select.value);
}

function compare(a, b, key) {
  if (!key) return 0;
  const read = (line) => line.querySelector(`[data-key="${key}"]`).dataset.order;
  const [x, y] = [read(a), read(b)];
  // What is not known comes last, whatever the direction.
  if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
  const numbers = [Number(x), Number(y)];
  const order = numbers.some(Number.isNaN) ? Number(x > y) - Number(x < y) : numbers[0] - numbers[1];
  return state.direction * order;
}

function refresh() {
  const body = byId("table").tBodies[0];
  const lines = [...body.rows].sort((a, b) => compare(a, b, state.sort) || state.direction * (a.dataset.index - b.dataset.index));
  lines.forEach((line) => {
    line.hidden = !matches(data.results[line.dataset.index]);
  });
  // Moving hundreds of rows costs more than comparing them.
  if (lines.some((line, place) => line !== body.rows[place])) body.append(...lines);
  const shown = lines.filter((line) => !line.hidden).map((line) => data.results[line.dataset.index]);
  byId("count").textContent = `${shown.length} of ${lines.length} shown`;
  byId("sort").value = state.sort;
  byId("direction").value = String(state.direction);
  all("[data-sort]").forEach((button) => {
    const head = button.closest("th");
    if (button.dataset.sort === state.sort) head.setAttribute("aria-sort", state.direction > 0 ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  });
  drawPareto(shown);
  drawRanges(shown, data.references);
}

function sortBy(key, direction) {
  Object.assign(state, { sort: key, direction });
  refresh();
}

/* One result. */
function show(index) {
  const row = data.results[index];
  byId("chosen").value = String(index);
  const doubt = row.emulated ? "EMULATED: latencies mean nothing. " : "";
  byId("conditions").textContent = (row.failure ? `FAILED: ${row.failure}. ` : doubt) + conditions(row).join(" · ")
    + (row.step > 1 ? ` · every ${row.step}th process is drawn` : "");
  drawSpread(row);
  drawTime(row);
  drawProfile(row);
  drawHistogram(row, data.histograms);
}

function fillChosen() {
  byId("chosen").append(...data.results.map((row, index) => {
    const option = document.createElement("option");
    option.value = index;
    option.textContent = cut(`${row.texts.artifact[0]} · ${row.model} · ${row.deviceName} · ${row.delegate} ${row.threads}t`, 110)
      + (row.emulated ? " · EMULATED" : "") + (row.failure ? " · FAILED" : "");
    return option;
  }));
}

function redraw() {
  refresh();
  show(Number(byId("chosen").value));
}

function start() {
  const form = byId("choice");
  if (!form) return;
  form.addEventListener("input", answer);
  form.addEventListener("submit", (event) => event.preventDefault());
  all("[data-filter]").forEach((select) => select.addEventListener("change", refresh));
  byId("sort").addEventListener("change", (event) => sortBy(event.target.value, state.direction));
  byId("direction").addEventListener("change", (event) => sortBy(state.sort, Number(event.target.value)));
  byId("reset").addEventListener("click", () => {
    all("[data-filter]").forEach((select) => { select.value = ""; });
    sortBy("", 1);
  });
  all("[data-sort]").forEach((button) => button.addEventListener("click", () => {
    const key = button.dataset.sort;
    sortBy(key, state.sort === key ? -state.direction : 1);
  }));
  byId("chosen").addEventListener("change", (event) => show(Number(event.target.value)));
  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-show]");
    if (target) show(Number(target.dataset.show));
  });
  all(".dot").forEach((dot) => { dot.style.background = colour(dot.dataset.precision); });
  fillChosen();
  const focus = document.querySelector('[data-filter="model"]');
  if (data.focus !== null && [...focus.options].some((option) => option.value === data.focus)) focus.value = data.focus;
  answer();
  refresh();
  const first = document.querySelector("#table tbody tr:not([hidden]):not(.failed)") || byId("table").tBodies[0].rows[0];
  show(Number(first.dataset.index));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  matchMedia("(max-width: 639px)").addEventListener("change", redraw);
  ["beforeprint", "afterprint"].forEach((moment) => window.addEventListener(moment, () => {
    onPaper = moment === "beforeprint";
    redraw();
  }));
}

start();
