/* Charts, drawn by Plotly. Every text from outside goes through esc(): Plotly reads a few HTML tags in texts. */

const PALETTE = {
  float32: "#2f7ed8", float16: "#0f9d76", dynamic_range: "#c46bb0", int8: "#e0662b", int8_npu: "#c99400", int16x8: "#6b7fd7",
};
const OTHER = "#8a8f98";
const SYMBOLS = ["circle", "square", "triangle-up", "pentagon", "hexagon", "star-triangle-down", "cross", "x"];
const MOST_RANGES = 24;
const MOST_ROWS = 12;

const esc = (text) =>
  String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
const colour = (precision) => (Object.hasOwn(PALETTE, precision) ? PALETTE[precision] : OTHER);
const ms = (us) => us / 1000;
const digits = (value) => Number(value.toPrecision(3)).toString();
const narrow = () => window.innerWidth < 640;

/* Colours of the page as it is now: light, dark, or on paper, for which the style does not hold yet when it is asked. */
let onPaper = false;

function theme() {
  if (onPaper) return { ink: "#000", soft: "#444", line: "#ccc", paper: "#fff" };
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return { ink: read("--ink"), soft: read("--soft"), line: read("--line"), paper: read("--card") };
}

function axis(look, extra) {
  return {
    gridcolor: look.line, zerolinecolor: look.line, linecolor: look.line, tickcolor: look.line,
    tickfont: { color: look.soft }, automargin: true, fixedrange: true, ...extra,
    title: { text: extra.title, font: { color: look.soft, size: 12 }, standoff: 8 },
  };
}

/* A logarithmic axis that says 1, 2, 5, 10, … in full, and within a decade so many that it is seen to be one. */
function logAxis(look, title, values) {
  const ends = [Math.min(...values), Math.max(...values)].map(Math.log10);
  const span = ends[1] - ends[0];
  const steps = narrow() || span > 2 ? [1] : span > 1 ? [1, 2, 5] : [1, 2, 3, 4, 5, 6, 8];
  const ticks = [];
  for (let power = Math.floor(ends[0]); power <= Math.ceil(ends[1]); power += 1) {
    steps.forEach((step) => ticks.push(step * 10 ** power));
  }
  return axis(look, { title, type: "log", tickvals: ticks, ticktext: ticks.map(digits) });
}

function doubt(rows) {
  if (!rows.some((row) => row.emulated)) return "";
  return narrow() ? " (EMULATED: nothing)" : " (of EMULATED devices they mean nothing)";
}

function draw(id, traces, height, layout, summary) {
  const place = document.getElementById(id);
  const look = theme();
  place.setAttribute("aria-label", `${summary} The numbers are in a table beside it.`);
  if (!traces.length) {
    Plotly.purge(place);
    place.textContent = summary;
    place.classList.add("empty");
    return;
  }
  if (place.classList.contains("empty")) {
    place.classList.remove("empty");
    place.textContent = "";
  }
  const base = {
    height, margin: { l: 8, r: 12, t: 8, b: 8 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 12, color: look.ink }, dragmode: false, hovermode: "closest",
    hoverlabel: { bgcolor: look.paper, bordercolor: look.line, font: { color: look.ink, size: 12 }, align: "left" },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { color: look.ink } },
  };
  Plotly.react(place, traces, { ...base, ...layout(look) }, { displayModeBar: false, responsive: true, displaylogo: false });
}

/* What every number must say: file, network, device, system, delegate, threads, runner, version, date. */
function conditions(row) {
  const t = row.texts;
  return [
    `${t.artifact[0]}, ${t.artifact[1]}`, `${t.device[0]}, ${t.device[1]}`, `${t.ran[0]}, ${t.ran[1]}`, `${t.date[0]} UTC`,
  ];
}

function hover(row) {
  const t = row.texts;
  const doubt = row.emulated ? ["EMULATED: latencies mean nothing"] : [];
  const numbers = `p50 ${t.p50[0]} ms (${t.p50[1]}), p95 ${t.p95[0]} ms, top-1 ${t.top1[0]} %, ${t.size[0]} MB`;
  return [numbers, ...doubt, ...conditions(row)].map((line) => esc(cut(line, 90))).join("<br>");
}

function drawPareto(rows) {
  const known = rows.filter((row) => row.latency && row.top1 !== null);
  const devices = [...new Set(known.map((row) => row.device))];
  const largest = Math.max(1, ...known.map((row) => row.size));
  const traces = [...new Set(known.map((row) => row.precision))].map((precision) => {
    const own = known.filter((row) => row.precision === precision);
    return {
      type: "scatter", mode: "markers", name: esc(cut(precision, 24)), hovertemplate: "%{text}<extra></extra>",
      x: own.map((row) => ms(row.latency[0])), y: own.map((row) => row.top1 * 100), text: own.map(hover),
      marker: {
        color: own.map((row) => (row.front ? colour(precision) : "rgba(0,0,0,0)")),
        symbol: own.map((row) => SYMBOLS[devices.indexOf(row.device) % SYMBOLS.length]),
        size: own.map((row) => 9 + 25 * Math.sqrt(row.size / largest)),
        opacity: 0.85, line: { width: 2, color: colour(precision) },
      },
    };
  });
  const names = devices.map((device, i) => {
    const row = known.find((r) => r.device === device);
    return { name: cut(`${row.deviceName}${row.emulated ? " (EMULATED)" : ""}`, 32), symbol: SYMBOLS[i % SYMBOLS.length] };
  });
  // The legend's second half: which symbol is which device.
  if (traces.length && devices.length > 1) {
    names.slice(0, 8).forEach(({ name, symbol }) => traces.push({
      type: "scatter", mode: "markers", name: esc(name), x: [null], y: [null], hoverinfo: "skip",
      marker: { symbol, size: 10, color: OTHER },
    }));
  }
  draw("pareto", traces, 400, (look) => ({
    xaxis: logAxis(look, `p50, ms${doubt(known)}`, known.map((row) => ms(row.latency[0]))),
    yaxis: axis(look, { title: "top-1, %" }),
  }), known.length ? `Top-1 accuracy over latency of ${known.length} results on ${devices.length} devices.`
    : "No result here has both a latency and an accuracy.");
}

function drawRanges(rows, references) {
  const known = rows.filter((row) => row.latency);
  const shown = known.slice(0, MOST_RANGES);
  const stars = references.filter((ref) => shown.some((row) => row.model === ref.model));
  const count = shown.length + stars.length;
  const short = narrow() ? 21 : 44;
  // A label says what tells the results apart; the rest is said on hovering and in the table.
  const differ = (name) => new Set(shown.map((row) => row[name])).size > 1;
  const [delegates, threads, networks, devices] = ["delegate", "threads", "model", "device"].map(differ);
  const label = (row) => {
    const parts = [row.precision, delegates && row.delegate, threads && `${row.threads}t`, networks && row.model.replace(/^mobilenet_/, "")];
    const said = parts.filter(Boolean).join(" ") + (devices ? ` · ${row.deviceName}` : "");
    return esc(cut(said, short)) + (row.emulated ? " <i>EMUL.</i>" : "");
  };
  const place = (i) => count - 1 - i;
  const traces = [];
  if (shown.length) {
    traces.push({
      type: "scatter", mode: "markers", name: "p50", hovertemplate: "%{text}<extra></extra>", text: shown.map(hover),
      x: shown.map((row) => ms(row.latency[0])), y: shown.map((_, i) => place(i)),
      marker: { size: 9, color: shown.map((row) => colour(row.precision)) },
      error_x: {
        type: "data", symmetric: false, thickness: 1.5, width: 4, color: OTHER,
        array: shown.map((row) => ms(row.latency[2] - row.latency[0])),
        arrayminus: shown.map((row) => ms(row.latency[0] - row.latency[1])),
      },
    }, {
      type: "scatter", mode: "markers", name: "p95", hovertemplate: "%{text}<extra></extra>", text: shown.map(hover),
      x: shown.map((row) => (row.p95 === null ? null : ms(row.p95))), y: shown.map((_, i) => place(i)),
      marker: { size: 9, symbol: "diamond-open", color: shown.map((row) => colour(row.precision)), line: { width: 1.5 } },
    });
  }
  if (stars.length && shown.length) {
    traces.push({
      type: "scatter", mode: "markers", name: "desktop", hovertemplate: "%{text}<extra></extra>",
      x: stars.map((ref) => ms(ref.latency[0])), y: stars.map((_, i) => place(shown.length + i)),
      text: stars.map((ref) => esc(`${ref.model}: ${ref.text}`) + "<br>" + esc(cut(ref.label, 90))),
      marker: { size: 13, symbol: "star", color: OTHER },
    });
  }
  const more = known.length > shown.length ? ` The first ${MOST_RANGES} of ${known.length}; filter or sort for others.` : "";
  draw("ranges", traces, Math.max(400, 60 + 21 * count), (look) => ({
    xaxis: logAxis(look, `ms${more ? `, first ${MOST_RANGES} of ${known.length}` : ""}${narrow() ? "" : doubt(shown)}`, [
      ...shown.flatMap((row) => [row.latency[1], row.latency[2], row.p95 ?? row.latency[0]]), ...stars.flatMap((ref) => ref.latency),
    ].map(ms)),
    yaxis: axis(look, {
      title: "", tickvals: [...shown, ...stars].map((_, i) => place(i)), range: [-0.7, count - 0.3], zeroline: false,
      ticktext: [...shown.map(label), ...stars.map((ref) => esc(cut(`★ ${ref.gpu ? "GPU" : "CPU"} · ${ref.model}`, short)))],
    }),
  }), shown.length ? `Latency of ${shown.length} results with intervals.${more}` : "No result here has a latency.");
}

/* A table beside a chart, for those who do not see it. */
function tabulate(id, heads, rows) {
  const table = document.createElement("table");
  const add = (parent, tag, text) => {
    const cell = parent.appendChild(document.createElement(tag));
    cell.textContent = text;
    if (tag === "th") cell.scope = "col";
    return cell;
  };
  const top = table.createTHead().insertRow();
  heads.forEach((head) => add(top, "th", head));
  const body = table.createTBody();
  rows.forEach((row) => {
    const line = body.insertRow();
    row.forEach((value) => add(line, "td", value === null ? "–" : value));
  });
  document.getElementById(id).replaceChildren(table);
}

const number = (us) => (us === null ? null : digits(ms(us)));

function drawSpread(row) {
  const mine = row.processes.filter((p) => p[0] === "latency").map((p, i) => ({ name: `#${i + 1}`, quartiles: p[3], ends: p[4], value: p[2], runs: p[5] }));
  const whole = mine.filter((p) => p.quartiles && p.ends[1] !== null && p.ends[2] !== null);
  const rest = mine.filter((p) => !whole.includes(p));
  const traces = [];
  const tint = colour(row.precision);
  if (whole.length) {
    traces.push({
      type: "box", name: "process", x: whole.map((p) => p.name), showlegend: false,
      q1: whole.map((p) => ms(p.quartiles[0])), median: whole.map((p) => ms(p.quartiles[1])), q3: whole.map((p) => ms(p.quartiles[2])),
      lowerfence: whole.map((p) => ms(p.ends[1])), upperfence: whole.map((p) => ms(p.ends[2])),
      marker: { color: tint }, line: { width: 1.5 }, hoverinfo: "y",
    });
  }
  if (rest.length) {
    const known = (value, p) => (value === null ? p.value : value);
    traces.push({
      type: "scatter", mode: "markers", name: `${row.statistic}, with least and most`, x: rest.map((p) => p.name),
      y: rest.map((p) => ms(p.value)), marker: { color: tint, size: 9 }, showlegend: true, hoverinfo: "y",
      error_y: {
        type: "data", symmetric: false, thickness: 1.5, color: OTHER,
        array: rest.map((p) => ms(known(p.ends[3], p) - p.value)), arrayminus: rest.map((p) => ms(p.value - known(p.ends[0], p))),
      },
    });
  }
  const ends = whole.flatMap((p) => [p.ends[1], p.ends[2]]).map(ms);
  // A few slow runs would press the boxes flat.
  const wide = ends.length > 0 && Math.max(...ends) > 4 * Math.min(...ends);
  draw("spread", traces, 300, (look) => ({
    xaxis: axis(look, { title: "process", type: "category" }),
    yaxis: wide ? logAxis(look, "ms", ends) : axis(look, { title: "ms", rangemode: "tozero" }),
  }), mine.length ? `Latency of the runs of ${mine.length} processes.` : "No process gave a result.");
  tabulate("spread-table", ["process", "runs", "least", "5 %", "25 %", "50 %", "75 %", "95 %", "most, ms"], mine.map((p) => [
    p.name, p.runs, number(p.ends[0]), number(p.ends[1]), ...(p.quartiles || [null, null, null]).map(number), number(p.ends[2]), number(p.ends[3]),
  ]));
}

function drawTime(row) {
  const rows = row.processes;
  const warm = rows.filter((p) => p[6] !== null);
  const traces = ["latency", "sustained"].map((kind) => [kind, rows.filter((p) => p[0] === kind)]).filter(([, own]) => own.length)
    .map(([kind, own]) => ({
      type: "scatter", mode: kind === "sustained" ? "lines+markers" : "markers", name: kind === "latency" ? row.statistic : "sustained", cliponaxis: false,
      x: own.map((p) => p[1] / 60), y: own.map((p) => ms(p[2])), marker: { color: colour(row.precision), size: kind === "latency" ? 9 : 4 },
      line: { color: colour(row.precision), width: 1.5 }, hovertemplate: "%{y:.3~g} ms after %{x:.1f} min<extra></extra>",
    }));
  if (warm.length) {
    traces.push({
      type: "scatter", mode: "lines+markers", name: `°C (${row.sensor})`, yaxis: "y2", cliponaxis: false, x: warm.map((p) => p[1] / 60), y: warm.map((p) => p[6]),
      line: { color: OTHER, dash: "dot" }, marker: { color: OTHER, size: 5, symbol: "diamond" }, hovertemplate: "%{y:.1f} °C<extra></extra>",
    });
  }
  draw("time", traces, 300, (look) => ({
    xaxis: axis(look, { title: "minutes", rangemode: "tozero" }), yaxis: axis(look, { title: "ms", rangemode: "tozero" }),
    ...(warm.length ? { yaxis2: axis(look, { title: "°C", overlaying: "y", side: "right", showgrid: false, tickmode: "auto", nticks: 5, range: [
      Math.floor(Math.min(...warm.map((p) => p[6])) - 2), Math.ceil(Math.max(...warm.map((p) => p[6])) + 2)] }) } : {}),
  }), rows.length ? `Latency of ${rows.length} processes over time${warm.length ? " with temperature" : "; this device tells no temperature"}.` : "No process gave a result.");
  tabulate("time-table", ["minutes", "kind", "ms", "°C"], rows.map((p) => [digits(p[1] / 60), p[0], number(p[2]), p[6] === null ? null : p[6].toFixed(1)]));
}

function bars(id, names, values, marks, unit, summary, height) {
  const traces = names.length ? [{
    type: "bar", orientation: "h", x: values, y: names.map((_, i) => names.length - 1 - i), showlegend: false,
    text: names.map((name, i) => esc(`${name}: ${digits(values[i])} ${unit}${marks[i] ? ", on the CPU" : ""}`)), textposition: "none",
    hovertemplate: "%{text}<extra></extra>",
    marker: { color: marks.map((mark) => (mark ? PALETTE.int8 : PALETTE.float32)), pattern: { shape: marks.map((mark) => (mark ? "/" : "")) } },
  }] : [];
  draw(id, traces, height, (look) => ({
    xaxis: axis(look, { title: unit, rangemode: "tozero" }),
    yaxis: axis(look, {
      title: "", tickvals: names.map((_, i) => names.length - 1 - i), range: [-0.6, names.length - 0.4],
      ticktext: names.map((name, i) => esc(cut(name, narrow() ? 20 : 34)) + (marks[i] ? " <b>CPU</b>" : "")),
    }),
  }), summary);
}

function drawProfile(row) {
  const all = row.operators || [];
  const more = row.operatorsTotal > all.length ? `, the longest of ${row.operatorsTotal}` : "";
  bars("profile", all.map((op) => op[0]), all.map((op) => op[3] * 100), all.map((op) => op[4]), "% of the time",
    all.length ? `Time by operator${more}; ${all.filter((op) => op[4]).length} fell back to the CPU.` : "This runner has no operator profile, or none was asked for.",
    300);
  tabulate("profile-table", ["operator", "nodes", "ms", "%", "fell back to CPU"], all.map((op) => [op[0], op[1], number(op[2]), digits(op[3] * 100), op[4] ? "yes" : "no"]));
}

function drawHistogram(row, histograms) {
  const all = Object.entries((row.histogram && histograms[row.histogram]) || {}).sort((a, b) => b[1] - a[1]);
  const top = all.slice(0, MOST_ROWS);
  bars("histogram", top.map(([name]) => name), top.map(([, count]) => count), top.map(() => false), "nodes",
    all.length ? `Operators in the file: ${all.length} kinds.` : "The manifest does not know this file.", 300);
  tabulate("histogram-table", ["operator", "nodes"], all);
}
