// Charts as SVG: scales, axes and brushes are D3's.

import { axisBottom, axisLeft } from "d3-axis";
import { brush, brushX } from "d3-brush";
import { scaleLinear, scaleLog } from "d3-scale";
import { select } from "d3-selection";
import { count, h, svg } from "./dom.js";

const MARGIN = { top: 8, right: 12, bottom: 34, left: 44 };

/**
 * An empty drawing with a title for screen readers.
 * @param {number} width @param {number} height @param {string} title
 */
function drawing(width, height, title) {
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": title });
  return { root, width, height };
}

/** Axes with the names of what they show. */
function axes({ root, width, height }, x, y, nameX, nameY, ticksY = 4) {
  const bottom = height - MARGIN.bottom;
  select(root).append("g").attr("class", "axis").attr("transform", `translate(0,${bottom})`)
    .call(axisBottom(x).ticks(6).tickSizeOuter(0));
  select(root).append("g").attr("class", "axis").attr("transform", `translate(${MARGIN.left},0)`)
    .call(axisLeft(y).ticks(ticksY, "~s").tickSizeOuter(0));
  const name = (/** @type {any} */ attributes, /** @type {string} */ text) =>
    root.append(svg("text", { class: "axis-name", ...attributes }, text));
  name({ x: width - MARGIN.right, y: height - 4, "text-anchor": "end" }, nameX);
  name({ x: -MARGIN.top, y: 10, "text-anchor": "end", transform: "rotate(-90)" }, nameY);
}

/** Rows by bin. @param {ArrayLike<number>} values @param {(row: number) => boolean} test */
function binned(values, test, from, to, bins) {
  const counts = new Uint32Array(bins);
  for (let row = 0; row < values.length; row++) {
    const bin = Math.floor(((values[row] - from) / (to - from)) * bins);
    if (values[row] >= from && test(row)) counts[Math.min(bins - 1, bin)]++;
  }
  return counts;
}

/**
 * A histogram on a logarithmic count axis, with a brush.
 * @param {{values: Float32Array, from: number, name: string, threshold?: number,
 *   onbrush: (range: [number, number] | null) => void}} options
 */
export function histogram({ values, from, name, threshold, onbrush }) {
  const bins = 48, width = 560, height = 210;
  const chart = drawing(width, height, `histogram of ${name}`);
  const x = scaleLinear([from, 1], [MARGIN.left, width - MARGIN.right]);
  const all = binned(values, () => true, from, 1, bins);
  const y = scaleLog([0.7, Math.max(2, ...all)], [height - MARGIN.bottom, MARGIN.top]);
  const bar = (/** @type {number} */ k, /** @type {number} */ size, /** @type {string} */ kind) =>
    svg("rect", {
      class: kind, x: x(from + (k / bins) * (1 - from)) + 0.5, width: (x(1) - x(from)) / bins - 1,
      y: y(size), height: y(0.7) - y(size),
    });
  chart.root.append(...[...all].flatMap((size, k) => (size ? [bar(k, size, "all")] : [])));
  const front = svg("g");
  chart.root.append(front);
  axes(chart, x, y, name, "examples");
  if (threshold !== undefined)
    chart.root.append(svg("line", { class: "threshold", x1: x(threshold), x2: x(threshold), y1: MARGIN.top, y2: height - MARGIN.bottom }));
  const area = select(chart.root).append("g").attr("class", "brush");
  const tool = brushX()
    .extent([[MARGIN.left, MARGIN.top], [width - MARGIN.right, height - MARGIN.bottom]])
    .on("end", (event) => {
      if (!event.sourceEvent) return; // moved by us
      onbrush(event.selection ? event.selection.map(x.invert) : null);
    });
  area.call(tool);
  return {
    element: chart.root,
    /** Colour what passes a test. @param {(row: number) => boolean} test */
    show(test) {
      front.replaceChildren(...[...binned(values, test, from, 1, bins)].flatMap((size, k) => (size ? [bar(k, size, "chosen")] : [])));
    },
    /** @param {[number, number] | null} range */
    move(range) {
      area.call(tool.move, range && [x(Math.max(from, range[0])), x(Math.min(1, range[1]))]);
    },
  };
}

/**
 * Where examples lie by two values: darker cells hold more; with a brush.
 * @param {{x: Float32Array, y: Float32Array, fromX: number, fromY?: number, names: [string, string],
 *   diagonal?: boolean, onbrush: (x: [number, number] | null, y: [number, number] | null) => void}} options
 */
export function density({ x: xs, y: ys, fromX, fromY = 0, names, diagonal = false, onbrush }) {
  const width = 360, height = 210, across = 44, down = 26;
  const chart = drawing(width, height, `${names[0]} against ${names[1]}`);
  const x = scaleLinear([fromX, 1], [MARGIN.left, width - MARGIN.right]);
  const y = scaleLinear([fromY, 1], [height - MARGIN.bottom, MARGIN.top]);
  const cells = svg("g", { class: "cells" });
  chart.root.append(cells);
  axes(chart, x, y, names[0], names[1]);
  if (diagonal) chart.root.append(svg("line", { class: "threshold", x1: x(Math.max(fromX, fromY)), y1: y(Math.max(fromX, fromY)), x2: x(1), y2: y(1) }));
  const area = select(chart.root).append("g").attr("class", "brush");
  area.call(brush()
    .extent([[MARGIN.left, MARGIN.top], [width - MARGIN.right, height - MARGIN.bottom]])
    .on("end", (event) => {
      if (!event.sourceEvent) return;
      if (!event.selection) return onbrush(null, null);
      const [[left, top], [right, bottom]] = event.selection;
      onbrush([x.invert(left), x.invert(right)], [y.invert(bottom), y.invert(top)]);
    }));
  return {
    element: chart.root,
    /** @param {(row: number) => boolean} test */
    show(test) {
      const counts = new Uint32Array(across * down);
      let most = 1;
      for (let row = 0; row < xs.length; row++) {
        if (!(xs[row] >= fromX && ys[row] >= fromY) || !test(row)) continue;
        const i = Math.min(across - 1, Math.floor(((xs[row] - fromX) / (1 - fromX)) * across));
        const j = Math.min(down - 1, Math.floor(((ys[row] - fromY) / (1 - fromY)) * down));
        most = Math.max(most, ++counts[i * down + j]);
      }
      const [w, t] = [(x(1) - x(fromX)) / across, (y(fromY) - y(1)) / down];
      cells.replaceChildren(...[...counts].flatMap((size, k) => size === 0 ? [] : [svg("rect", {
        x: x(fromX) + Math.floor(k / down) * w, y: y(fromY) - ((k % down) + 1) * t, width: w - 0.4, height: t - 0.4,
        "fill-opacity": (0.35 + (0.65 * Math.log(1 + size)) / Math.log(1 + most)).toFixed(2),
      })]));
    },
  };
}

/**
 * Curves over thresholds, one colour each.
 * @param {string} name @param {number[]} thresholds
 * @param {{name: string, values: (number | null)[]}[]} curves
 */
export function lines(name, thresholds, curves) {
  const width = 420, height = 220;
  const chart = drawing(width, height, `${name}: ${curves.map((c) => c.name).join(", ")}`);
  const x = scaleLinear([0, 1], [MARGIN.left, width - MARGIN.right]);
  const y = scaleLinear([0, 1], [height - MARGIN.bottom, MARGIN.top]);
  axes(chart, x, y, "threshold", "", 5);
  curves.forEach((curve, k) => {
    const points = curve.values.flatMap((v, i) => (v === null ? [] : [`${x(thresholds[i])},${y(v)}`]));
    chart.root.append(svg("polyline", { class: `curve curve-${k}`, points: points.join(" ") }));
  });
  return h("figure", {}, h("figcaption", {}, name,
    ...curves.map((curve, k) => h("span", { class: `key key-${k}` }, curve.name))), chart.root);
}

/**
 * A bar for each class: how many of its examples are memorized; a click asks for the class.
 * @param {{label: number, name: string, part: number, of: number}[]} bars
 * @param {(label: number) => void} onchoose
 */
export function classBars(bars, onchoose) {
  const most = Math.max(...bars.map((bar) => bar.part), 1);
  const buttons = new Map(bars.map((bar) => {
    const fill = h("span", { class: "fill" });
    fill.style.width = `${(100 * bar.part) / most}%`;
    const button = h("button", {
      type: "button", class: "class-bar", "aria-pressed": "false", onclick: () => onchoose(bar.label),
      title: `${bar.name}: ${count(bar.part)} of ${count(bar.of)} memorized`,
    }, h("span", { class: "name" }, bar.name), h("span", { class: "track" }, fill),
    h("span", { class: "value" }, count(bar.part)));
    return [bar.label, button];
  }));
  const element = h("div", { class: "class-bars" }, ...buttons.values());
  element.style.setProperty("--name", `${Math.min(14, Math.max(...bars.map((bar) => bar.name.length)))}ch`);
  return {
    element,
    /** @param {number | null} label */
    show(label) {
      for (const [key, button] of buttons) button.setAttribute("aria-pressed", String(key === label));
    },
  };
}
