/** From T0 to sound: the newest utterances as stacked bars, and their p50 and p95. */

const KEPT = 50;
const HEIGHT = 120;
const BAR = 14;
const GAP = 5;
const SVG = "http://www.w3.org/2000/svg";

const milliseconds = (value) => (value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`);

/** The smallest value that so many percent are not above. */
export function percentile(values, percent) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)];
}

/** The parts of an utterance's latency in ms, from its turn on: waiting in the queue is none of it. */
export function parts({ d01, d12, d2a, waited = 0 }) {
  const voice = Math.max(0, d01 - (waited ?? 0));
  const sink = Math.max(0, d01 + d12 - Math.max(d01, waited ?? 0));
  return { voice, sink, way: d2a, latency: voice + sink + d2a };
}

export class Latency {
  #utterances = new Map();
  #chart = document.getElementById("chart");
  #rows = document.getElementById("rows");

  /** @param {object} event an agent's event of an utterance; only one that was heard counts. */
  update(event) {
    if (![event.d01, event.d12, event.d2a].every(Number.isFinite)) return;
    this.#utterances.set(event.id, { ...event, ...parts(event) });
    while (this.#utterances.size > KEPT) this.#utterances.delete(this.#utterances.keys().next().value);
    this.#draw();
  }

  #draw() {
    const all = [...this.#utterances.values()];
    const latencies = all.map((one) => one.latency);
    const marks = { p50: percentile(latencies, 50), p95: percentile(latencies, 95) };
    document.getElementById("latest").textContent = milliseconds(all.at(-1).latency);
    document.getElementById("p50").textContent = milliseconds(marks.p50);
    document.getElementById("p95").textContent = milliseconds(marks.p95);
    this.#rows.replaceChildren(...all.map(row).reverse());
    document.getElementById("latency-empty").hidden = true;
    this.#chart.removeAttribute("hidden");
    this.#drawChart(all, Math.max(...latencies) * 1.1, marks);
  }

  #drawChart(all, most, marks) {
    const width = KEPT * (BAR + GAP);
    const y = (value) => HEIGHT - (value / most) * HEIGHT;
    const shapes = all.flatMap((one, index) => {
      const x = width - (all.length - index) * (BAR + GAP);
      let top = 0;
      return ["voice", "sink", "way"].map((part) => {
        top += one[part];
        const height = (one[part] / most) * HEIGHT;
        return shape("rect", { class: `${part}-part`, x, y: y(top), width: BAR, height });
      });
    });
    for (const [name, value] of Object.entries(marks)) {
      shapes.push(shape("line", { class: name, x1: 0, x2: width, y1: y(value), y2: y(value) }));
    }
    this.#chart.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.#chart.setAttribute("preserveAspectRatio", "xMaxYMid slice");
    this.#chart.replaceChildren(...shapes);
  }
}

function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function row(one) {
  const told = (value) => (Number.isFinite(value) ? milliseconds(value) : "–");
  const cells = [
    new Date(one.t0 * 1000).toLocaleTimeString(),
    one.route_reason ? `${one.route} (${one.route_reason})` : (one.route ?? "–"),
    ...[one.d01, one.d12, one.d2a, one.d01 + one.d12 + one.d2a, one.d23, one.total].map(told),
  ];
  const line = document.createElement("tr");
  line.append(
    ...cells.map((text, index) => {
      const cell = document.createElement(index ? "td" : "th");
      if (!index) cell.scope = "row";
      cell.textContent = text;
      return cell;
    }),
  );
  return line;
}
