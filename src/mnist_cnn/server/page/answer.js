// The reading, beside what the network saw.

import { isOne, wordsFor } from "./words.js";

export class Answer {
  #element; #label; #title; #text; #picture; #status; #classes;

  /**
   * @param {HTMLElement} element
   * @param {HTMLElement} status  Spoken by screen readers when it changes.
   * @param {import("./classes.js").Classes} classes
   */
  constructor(element, status, classes) {
    this.#element = element;
    this.#label = element.querySelector("#label");
    this.#title = element.querySelector("#sentence b");
    this.#text = element.querySelector("#sentence span");
    this.#picture = element.querySelector("#picture");
    this.#status = status;
    this.#classes = classes;
  }

  /** Address of the 28×28 picture. */
  get picture() { return this.#picture.src; }

  /** Show an empty answer. */
  showNothing(text = "") {
    this.#write({ label: "–", title: "", text }, "empty");
    this.#picture.hidden = true;
    this.#classes.show(null);
  }

  /** @param {boolean} isSettled  Only then a screen reader speaks: it cannot follow a pen. */
  showReading(reading, isSettled) {
    const words = wordsFor(reading, isSettled);
    this.#write(words, stateOf(reading));
    this.#picture.src = `data:image/png;base64,${reading.picture}`;
    this.#picture.hidden = false;
    this.#picture.alt = "The drawing, reduced to 28 by 28 pixels";
    this.#classes.show(isOne(reading) ? reading.probabilities : null, reading.accepted ? reading.digit : -1);
    if (isSettled) this.say(reading.accepted ? `${words.label}, ${words.title}` : `${words.title} ${words.text}`.trim());
  }

  say(text) {
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }

  #write({ label, title, text }, state) {
    this.#element.dataset.state = state;
    this.#label.textContent = label;
    this.#label.dataset.length = lengthOf(label);
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
  if (label.length <= 2) return "sign";
  return label.length <= 6 ? "word" : "long";
}
