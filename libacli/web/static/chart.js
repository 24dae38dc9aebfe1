/** The chart of latencies: one stack for each line, newest at the right, p50 and p95 across. */

import { draw } from "./dom.js";
import { FEWEST } from "./latency.js";
import { isByAvatar, ms } from "./words.js";

const HEIGHT = 172;
const TOP = 18;
const FLOOR = HEIGHT - 14;
const LEFT = 34;
const FEWEST_SLOTS = 12;
const WIDEST_BAR = 16;

/**
 * @param {{row: any, parts: any}[]} lines oldest first
 * @param {{count: number, p50: number | null, p95: number | null}} summary of the latency
 * @param {number} width in pixels
 */
export function chartOf(lines, summary, width) {
  const top = scaleTop(lines, summary);
  const y = (value) => FLOOR - ((FLOOR - TOP) * Math.min(value, top)) / top;
  const slot = (width - LEFT) / Math.max(lines.length, FEWEST_SLOTS);
  const bars = lines.map((line, index) => bar(line, width - slot * (lines.length - index), slot, y, top));
  return draw(
    "svg",
    { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": said(lines, summary) },
    ...grid(top, y, width),
    ...bars,
    ...levels(summary, y, width, top),
  );
}

/** One late line, the first as a rule, is not to make all others flat. */
function scaleTop(lines, { p50 }) {
  const highest = Math.max(0, ...lines.map(({ parts }) => sum(parts)));
  return nice(p50 ? Math.min(highest, p50 * 3) : highest);
}

const sum = ({ voice, sink, heard }) => (voice ?? 0) + (sink ?? 0) + (heard ?? 0);

function nice(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 10)));
  return [1, 1.2, 1.6, 2, 3, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= value * 1.04) ?? 20 * power;
}

function grid(top, y, width) {
  return [0, top / 2, top].flatMap((value) => [
    draw("line", { class: "grid", x1: LEFT, x2: width, y1: y(value), y2: y(value) }),
    draw("text", { class: "axis", x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, axis(value)),
  ]);
}

const axis = (value) => (value >= 1000 ? `${+(value / 1000).toFixed(1)} s` : `${+value.toFixed(1)}`);

function bar({ row, parts }, x, slot, y, top) {
  const width = Math.max(1.5, Math.min(WIDEST_BAR, slot * 0.68));
  const left = x + (slot - width) / 2;
  const group = draw("g", { class: ["bar", row.isOver ? "" : "now", parts.isAtOnce ? "" : "waited"].join(" ").trim() }, draw("title", {}, tip(row, parts)));
  let from = 0;
  for (const name of ["voice", "sink", "heard"]) {
    if (parts[name] === null) continue;
    const height = Math.max(y(from) - y(from + parts[name]), from + parts[name] < top ? 0.75 : 0);
    group.append(draw("rect", { class: name, x: left, y: y(from) - height, width, height }));
    from += parts[name];
  }
  if (from > top) group.append(draw("path", { class: "cut", d: `M${left - 1} ${y(top) + 9}l${width + 2} -5` }));
  group.append(foot(row, parts, left + width / 2, Math.min(2.6, slot * 0.3)));
  return group;
}

/** Filled: by the avatar. A ring: sound only. A cross: nobody heard it. */
function foot(row, parts, x, size) {
  const y = FLOOR + 8;
  if (row.isOver && parts.latency === null) {
    return draw("path", { class: "mark cross", d: `M${x - size} ${y - size}l${2 * size} ${2 * size}m0 ${-2 * size}l${-2 * size} ${2 * size}` });
  }
  return draw("circle", { class: isByAvatar(row) ? "mark" : "mark ring", cx: x, cy: y, r: size });
}

function levels({ count, p50, p95 }, y, width, top) {
  if (count < FEWEST) return [];
  return [["p50", p50], ["p95", p95]].flatMap(([name, value]) => {
    if (value === null) return [];
    const at = y(value);
    const label = `${name} ${ms(value)}${value > top ? " ↑" : ""}`;
    const where = name === "p95" ? Math.max(at - 5, TOP - 6) : Math.min(at + 13, FLOOR - 3);
    return [
      draw("line", { class: `level ${name}`, x1: LEFT, x2: width, y1: at, y2: at }),
      draw("text", { class: `label ${name}`, x: LEFT + 4, y: where }, label),
    ];
  });
}

function tip(row, parts) {
  const steps = `voice ${ms(parts.voice)}, sink ${ms(parts.sink)}, until heard ${ms(parts.heard)}`;
  const waited = parts.isAtOnce ? "" : `, after ${ms(parts.waited)} in the queue: not counted`;
  return `${row.state}${waited}, ${parts.latency === null ? steps : `heard after ${ms(parts.latency)}: ${steps}`}`;
}

function said(lines, { count, p50, p95 }) {
  const bars = `Bars of the last ${lines.length} lines.`;
  if (count < FEWEST) return bars;
  return `${bars} Of those that did not wait half were heard within ${ms(p50)}, 95 percent within ${ms(p95)}.`;
}
