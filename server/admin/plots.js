// Five moving plots of the last two minutes, as SVG.

import { byId, make, setAttribute, setText } from "./dom.js";
import { compact } from "./format.js";

const POINTS = 240;
const [WIDTH, HEIGHT] = [240, 56];
const SVG = "http://www.w3.org/2000/svg";

const milliseconds = (value) => `${compact(value)} ms`;
const SERIES = [
  { field: "holds", title: "Holds", unit: "per second", show: compact },
  { field: "refusals", title: "Refusals", unit: "per second", show: compact },
  { field: "p99_ms", title: "Latency p99", unit: "", show: milliseconds },
  { field: "batch", title: "Batch size", unit: "requests", show: compact },
  { field: "queue", title: "Queue depth", unit: "waiting", show: compact },
];

let samples = [];
const plots = [];

function svg(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** Builds the plots. */
export function start() {
  for (const series of SERIES) {
    const value = make("b", { class: "value", "data-series": series.field }, "–");
    const peak = make("span", { class: "peak" });
    const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    const [area, line] = [svg("path", { class: "area" }), svg("path", { class: "line" })];
    drawing.append(svg("path", { class: "base", d: `M0 ${HEIGHT - 1}H${WIDTH}` }), area, line);
    const top = make("div", { class: "plot-top" }, make("h2", {}, series.title), peak);
    const figure = make("div", { class: "plot-value" }, value, make("span", { class: "unit" }, series.unit));
    byId("plots").append(make("div", { class: `plot ${series.field}` }, top, figure, drawing));
    plots.push({ series, value, peak, drawing, area, line });
  }
}

/** Draws samples: all of a new stream, or one more. */
export function add(more, isNew = false) {
  samples = (isNew ? more : samples.concat(more)).slice(-POINTS);
  for (const plot of plots) draw(plot);
}

function draw({ series, value, peak, drawing, area, line }) {
  const values = samples.map((sample) => sample[series.field]);
  const known = values.filter((one) => one !== null);
  const last = values.at(-1) ?? null;
  const max = Math.max(...known, 0);
  const now = last === null ? "–" : series.show(last);
  setText(value, now);
  setText(peak, known.length > 0 ? `peak ${series.show(max)}` : "");
  const about = last === null ? "nothing now" : `now ${now} ${series.unit}`.trim();
  setAttribute(drawing, "aria-label", `${series.title}: ${about}; peak ${series.show(max)} in the last two minutes`);
  const left = WIDTH - (values.length - 1) * (WIDTH / (POINTS - 1));
  let path = "";
  let fill = "";
  let from = null;
  let previous = null;
  const close = () => {
    if (from !== null) fill += `L${previous} ${HEIGHT}L${from} ${HEIGHT}Z`;
    from = null;
  };
  values.forEach((one, at) => {
    if (one === null) return close();
    const x = (left + at * (WIDTH / (POINTS - 1))).toFixed(1);
    const y = (HEIGHT - 2 - (max > 0 ? one / max : 0) * (HEIGHT - 8)).toFixed(1);
    const command = from === null ? "M" : "L";
    path += `${command}${x} ${y}`;
    fill += `${command}${x} ${y}`;
    from ??= x;
    previous = x;
  });
  close();
  line.setAttribute("d", path || "M0 0");
  area.setAttribute("d", fill || "M0 0");
}
