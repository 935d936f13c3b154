// A box around each digit of a number, with its confidence, over the ink.

import { percent } from "./words.js";

const DOUBTFUL = 0.9; // a digit with less confidence stands out
const LABELS = ["all", "digits", "small", "none"]; // what is written at the boxes: the first for which there is room

export class Boxes {
  #list; #aspect;

  /** @param {HTMLElement} list  Covers the surface.  @param {number} aspect  Width of the surface by its height. */
  constructor(list, aspect) {
    this.#list = list;
    this.#aspect = aspect;
    new ResizeObserver(() => this.#chooseLabels()).observe(list);
  }

  /** @param {{text: string, confidence: number, box: import("./scenes.js").Frame | null}[]} digits */
  show(digits) {
    const seen = digits.filter(({ box }) => box !== null);
    while (this.#list.children.length > seen.length) this.#list.lastChild.remove();
    while (this.#list.children.length < seen.length) this.#list.append(makeItem());
    seen.forEach((digit, index) => this.#write(this.#list.children[index], digit));
    this.#chooseLabels();
  }

  /** Items are changed in place, so that nothing flickers. */
  #write(item, { text, confidence, box }) {
    const inside = (value) => `${100 * Math.min(1, Math.max(0, value))}%`;
    item.style.setProperty("--left", inside(box.left / this.#aspect));
    item.style.setProperty("--top", inside(box.top));
    item.style.setProperty("--right", inside((box.left + box.width) / this.#aspect));
    item.style.setProperty("--bottom", inside(box.top + box.height));
    item.classList.toggle("doubtful", confidence < DOUBTFUL);
    const [digit, number] = item.children;
    digit.textContent = text;
    number.textContent = percent(confidence).replaceAll("\u202f", "");
  }

  /** Labels that overlap cannot be read, and a part of them would look like another number: then none is shown. */
  #chooseLabels() {
    for (const labels of LABELS) {
      this.#list.dataset.labels = labels;
      if (this.#isLegible("b") && this.#isLegible("span")) return;
    }
  }

  /** Whether all labels of a kind lie beside one another, within the surface. */
  #isLegible(kind) {
    const within = this.#list.getBoundingClientRect();
    const places = [...this.#list.querySelectorAll(kind)].map((label) => label.getBoundingClientRect());
    if (!places.length || !places[0].width) return true; // not shown
    if (places.some(({ left, right }) => left < within.left || right > within.right)) return false;
    return places.every((place, index) => !index || !overlap(places[index - 1], place));
  }
}

const overlap = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

function makeItem() {
  const item = document.createElement("li");
  item.append(document.createElement("b"), document.createElement("span"));
  return item;
}
