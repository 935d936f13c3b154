// One row per class: its name, a bar, its probability, and, if the server collects, a button to choose it.

import { percent } from "./words.js";

export class Classes {
  #list; #rows = [];
  names = [];

  /** @param {HTMLElement} list */
  constructor(list) { this.#list = list; }

  /** @param {string[]} names  @param {((name: string) => void) | null} pick  Called when a row is clicked. */
  build(names, pick) {
    this.names = names;
    this.#rows = names.map((name) => makeRow(name, pick));
    const longest = Math.max(...names.map((name) => name.length));
    this.#list.dataset.columns = columnsFor(names.length, longest);
    this.#list.style.setProperty("--longest", longest);
    this.#list.classList.toggle("pickable", pick !== null);
    this.#list.replaceChildren(...this.#rows.map((row) => row.item));
    this.show(null);
  }

  /** @param {number[] | null} probabilities  @param {number} best  Index of the class to highlight; -1: none. */
  show(probabilities, best = -1) {
    this.#rows.forEach(({ item, meter, number }, index) => {
      const probability = probabilities?.[index] ?? 0;
      item.classList.toggle("best", index === best);
      item.style.setProperty("--share", probability);
      meter.setAttribute("aria-valuenow", Math.round(probability * 100));
      meter.setAttribute("aria-valuetext", percent(probability));
      number.textContent = probability >= 0.005 ? percent(probability) : "";
    });
  }
}

function makeRow(name, pick) {
  const item = document.createElement("li");
  const label = add(item, "span", "name", name);
  const meter = add(item, "span", "bar");
  const number = add(item, "span", "number");
  label.title = name;
  for (const each of [label, number]) each.setAttribute("aria-hidden", "true"); // the meter says both
  const values = { role: "meter", "aria-label": name, "aria-valuemin": 0, "aria-valuemax": 100 };
  for (const [key, value] of Object.entries(values)) meter.setAttribute(key, value);
  if (pick) {
    const button = add(item, "button", "pick");
    button.type = "button";
    button.setAttribute("aria-label", `It is ${name}`);
    button.addEventListener("click", () => pick(name));
  }
  return { item, meter, number };
}

function add(parent, tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  parent.append(element);
  return element;
}

function columnsFor(count, longest) {
  if (longest > 3) return count <= 12 ? 1 : 2;
  if (count <= 12) return "few"; // one column if there is room, otherwise two
  return count <= 26 ? 2 : 3;
}
