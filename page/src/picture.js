// Pictures of examples: thumbnails out of sheets; of rows of numbers, their values.

import { h, svg } from "./dom.js";
import { className, core, detailsOf, meta } from "./model.js";
import { loadPicture } from "./parts.js";

const ACROSS = 32; // thumbnails a row of a sheet

/**
 * An example, drawn as large as asked.
 * @param {import("./model.js").Split} split @param {number} row @param {number} side  pixels
 */
export function picture(split, row, side) {
  const label = `${split} example ${row}, ${className(core[`${split}_label`][row])}`;
  const element = h("span", { class: "picture", role: "img", "aria-label": label });
  const plan = meta.pictures;
  if (!plan) {
    element.classList.add("without");
    element.style.width = `${side}px`;
    element.style.height = `${Math.min(side, 64)}px`;
    if (meta.features) drawValues(element, split, row);
    else element.append(h("span", { "aria-hidden": "true" }, className(core[`${split}_label`][row]).slice(0, 8)));
    return element;
  }
  const scale = side / Math.max(plan.width, plan.height);
  const [width, height] = [plan.width * scale, plan.height * scale];
  const gutter = plan.gutter * scale;
  const [pitchX, pitchY] = [width + 2 * gutter, height + 2 * gutter];
  const place = row % plan.sheet;
  const number = (row - place) / plan.sheet;
  const lines = Math.ceil(Math.min(plan.sheet, meta.sizes[split] - number * plan.sheet) / ACROSS);
  Object.assign(element.style, {
    width: `${width}px`,
    height: `${height}px`,
    backgroundSize: `${ACROSS * pitchX}px ${lines * pitchY}px`,
    backgroundPosition: `${-(place % ACROSS) * pitchX - gutter}px ${-Math.floor(place / ACROSS) * pitchY - gutter}px`,
  });
  if (plan.inked) element.classList.add("inked");
  if (scale >= 4) element.classList.add("enlarged");
  loadPicture(`sheet-${split}-${number}`).then((address) => {
    element.style.backgroundImage = `url("${address}")`;
    element.classList.add("there");
  });
  return element;
}

/** Bars of a row's features, side by side. */
async function drawValues(element, split, row) {
  const { values } = await detailsOf(split, row);
  if (!values) return;
  const most = Math.max(...values.map(Math.abs), 1e-9);
  const drawing = svg("svg", { viewBox: `0 0 ${values.length} 20`, preserveAspectRatio: "none", "aria-hidden": "true" });
  values.forEach((value, k) => {
    const tall = (9 * Math.abs(value)) / most;
    drawing.append(svg("rect", { x: k + 0.1, width: 0.8, y: value < 0 ? 10 : 10 - tall, height: Math.max(tall, 0.3) }));
  });
  element.append(drawing);
}
