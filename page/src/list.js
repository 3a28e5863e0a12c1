// A list of any length of which only what is seen exists: lines of a table, or of a gallery.

import { h } from "./dom.js";

const BEYOND = 250; // pixels above and below the window that are drawn too
const TALLEST = 20_000_000; // pixels: browsers draw nothing beyond about 33 million

/**
 * @typedef {{items: ArrayLike<number>, cell: (item: number, index: number) => HTMLElement,
 *   width: number | null, height: number, gap?: number, open: (item: number) => void}} Look
 *   width: of a cell, null: as wide as the list
 */

/** A list that scrolls with the window; arrows move in it, Enter opens. */
export class List {
  /** @param {string} name */
  constructor(name) {
    this.inner = h("div", { class: "list-inner", role: "list", "aria-label": name });
    this.note = h("p", { class: "note", hidden: true });
    this.element = h("div", { class: "list" }, this.inner, this.note);
    /** @type {Map<number, HTMLElement>} */
    this.drawn = new Map();
    this.active = 0;
    /** @type {Look | null} */
    this.look = null;
    this.frame = 0;
    const later = () => { this.frame ||= requestAnimationFrame(() => { this.frame = 0; this.draw(); }); };
    addEventListener("scroll", later, { passive: true });
    new ResizeObserver(() => { this.measure(); later(); }).observe(this.element);
    this.inner.addEventListener("keydown", (event) => this.key(event));
    this.inner.addEventListener("click", (event) => {
      const cell = event.target.closest("[data-index]");
      if (!cell || event.target.closest("button, select, a, summary")) return;
      this.active = Number(cell.dataset.index);
      this.look?.open(this.look.items[this.active]);
    });
  }

  /** @param {Look} look */
  show(look) {
    this.look = look;
    this.active = 0;
    this.clear();
    this.measure();
    this.draw();
  }

  /** Draw all that is seen anew. */
  clear() {
    this.drawn.clear();
    this.inner.replaceChildren();
  }

  measure() {
    if (!this.look) return;
    const { width, height, gap = 0, items } = this.look;
    const across = width === null ? 1 : Math.max(1, Math.floor((this.element.clientWidth + gap) / (width + gap)));
    if (across !== this.across) this.clear();
    this.across = across;
    this.pitch = height + gap;
    this.lines = Math.min(Math.ceil(items.length / across), Math.floor(TALLEST / this.pitch));
    this.size = Math.min(items.length, this.lines * across);
    this.inner.style.height = `${this.lines * this.pitch}px`;
    this.note.hidden = this.size === items.length;
    this.note.textContent = `The first ${this.size.toLocaleString("en")} are listed: filter, or sort the other way, for the others.`;
  }

  draw() {
    if (!this.look || !this.element.offsetParent) return;
    const top = this.element.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor((-top - BEYOND) / this.pitch)) * this.across;
    const last = Math.min(this.size, Math.ceil((innerHeight - top + BEYOND) / this.pitch) * this.across);
    for (const [index, cell] of this.drawn) {
      if (index >= first && index < last) continue;
      if (cell.contains(document.activeElement)) continue; // focus stays where it is
      cell.remove();
      this.drawn.delete(index);
    }
    const fresh = [];
    for (let index = first; index < last; index++) if (!this.drawn.has(index)) fresh.push(this.place(index));
    this.inner.append(...fresh);
  }

  /** @param {number} index */
  place(index) {
    const { items, cell, width, height, gap = 0 } = /** @type {Look} */ (this.look);
    const element = cell(items[index], index);
    element.dataset.index = String(index);
    element.classList.add("cell");
    element.tabIndex = index === this.active ? 0 : -1;
    element.setAttribute("role", "listitem");
    element.setAttribute("aria-posinset", String(index + 1));
    element.setAttribute("aria-setsize", String(items.length));
    const line = Math.floor(index / this.across);
    element.style.transform = `translate(${(index % this.across) * ((width ?? 0) + gap)}px, ${line * this.pitch}px)`;
    element.style.width = width === null ? "100%" : `${width}px`;
    element.style.height = `${height}px`;
    this.drawn.set(index, element);
    return element;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.target !== event.currentTarget && /** @type {any} */ (event.target).dataset.index === undefined) return;
    const page = Math.max(1, Math.floor(innerHeight / this.pitch) - 1) * this.across;
    const step = {
      ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.across, ArrowUp: -this.across,
      PageDown: page, PageUp: -page, Home: -this.size, End: this.size,
    }[event.key];
    if (event.key === "Enter") this.look?.open(this.look.items[this.active]);
    else if (step !== undefined) this.focus(Math.max(0, Math.min(this.size - 1, this.active + step)));
    else return;
    event.preventDefault();
  }

  /** Focus on the cell that was active, if it is seen. */
  take() {
    this.draw();
    this.drawn.get(this.active)?.focus({ preventScroll: true });
  }

  /** Move to a cell, and scroll to where it is. @param {number} index */
  focus(index) {
    if (!this.look || !this.size) return;
    const old = this.drawn.get(this.active);
    if (old) old.tabIndex = -1;
    this.active = index;
    const top = this.element.getBoundingClientRect().top + Math.floor(index / this.across) * this.pitch;
    const bar = 120; // what stays at the top
    if (top < bar) scrollBy(0, top - bar);
    else if (top + this.pitch > innerHeight) scrollBy(0, top + this.pitch - innerHeight + 8);
    this.draw();
    const cell = this.drawn.get(index) ?? this.place(index);
    if (!cell.isConnected) this.inner.append(cell);
    cell.tabIndex = 0;
    cell.focus({ preventScroll: true });
  }
}
