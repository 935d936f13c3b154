// The reading: of a digit, beside what the network saw; of a number, with a box around each digit.

import { isOne, NOTHING, wordsFor, wordsForNumber } from "./words.js";

export class Answer {
  #element; #label; #title; #text; #picture; #asNumber; #status; #classes; #boxes;

  /**
   * @param {HTMLElement} element
   * @param {HTMLElement} status  Spoken by screen readers when it changes.
   * @param {import("./classes.js").Classes} classes
   * @param {import("./boxes.js").Boxes} boxes
   */
  constructor(element, status, classes, boxes) {
    this.#element = element;
    this.#label = element.querySelector("#label");
    this.#title = element.querySelector("#sentence b");
    this.#text = element.querySelector("#sentence span");
    this.#picture = element.querySelector("#picture");
    this.#asNumber = element.querySelector("#as-number");
    this.#status = status;
    this.#classes = classes;
    this.#boxes = boxes;
  }

  /** Address of the 28×28 picture; empty: none. */
  get picture() { return this.#picture.src; }

  /** Show an empty answer. */
  showNothing(text = "") {
    this.#empty({ label: NOTHING, title: "", text }, "empty");
  }

  /** Show that something else is read now: an answer to what was there before would be taken for its own. */
  showWaiting() {
    this.#empty({ label: NOTHING, title: "Reading …", text: "" }, "waiting");
  }

  /** Mark the answer as one to an earlier state of the drawing; it fades unless the next answer comes soon. */
  outdate() {
    const { classList, dataset } = this.#element;
    if (classList.contains("outdated") || ["empty", "waiting"].includes(dataset.state)) return;
    classList.add("outdated");
    this.say("");
  }

  /** @param {boolean} isSettled  Only then a screen reader speaks: it cannot follow a pen. */
  showDigit(reading, isSettled) {
    const words = wordsFor(reading, isSettled);
    this.#asNumber.hidden = !isSettled || reading.reason !== "several";
    this.#write(words, stateOf(reading));
    this.#picture.src = `data:image/png;base64,${reading.picture}`;
    this.#picture.hidden = false;
    this.#picture.alt = "The drawing, reduced to 28 by 28 pixels";
    this.#classes.show(isOne(reading) ? reading.probabilities : null, reading.accepted ? reading.digit : -1);
    if (isSettled) this.say(reading.accepted ? `${words.label}, ${words.title}` : `${words.title} ${words.text}`.trim());
  }

  /** @param {boolean} isSettled  See `showDigit`. */
  showNumber(reading, isSettled) {
    const words = wordsForNumber(reading, isSettled);
    this.#write(words, reading.accepted ? "accepted" : "rejected", lengthOfNumber(words.label));
    this.#boxes.show(reading.digits);
    if (isSettled) this.say([words.label, words.title, words.text].filter((part) => part && part !== NOTHING).join(", "));
  }

  say(text) {
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }

  #empty(words, state) {
    this.#write(words, state);
    this.#picture.hidden = true;
    this.#picture.removeAttribute("src");
    this.#asNumber.hidden = true;
    this.#classes.show(null);
    this.#boxes.show([]);
    this.say("");
  }

  #write({ label, title, text }, state, length = lengthOf(label)) {
    this.#element.dataset.state = state;
    this.#element.classList.remove("outdated");
    this.#label.textContent = label;
    this.#label.dataset.length = length;
    this.#title.textContent = title;
    this.#text.textContent = text;
  }
}

function stateOf(reading) {
  if (reading.accepted) return "accepted";
  return isOne(reading) ? "rejected" : "unreadable";
}

/** Return the size in which a label is set. */
function lengthOf(label) {
  if (label === NOTHING) return "none";
  if (label.length <= 2) return "sign";
  return label.length <= 6 ? "word" : "long";
}

/** Return the size in which a number is set: it has more room. */
function lengthOfNumber(text) {
  if (text === NOTHING) return "none";
  if (text.length <= 6) return "sign";
  return text.length <= 10 ? "word" : "long";
}
