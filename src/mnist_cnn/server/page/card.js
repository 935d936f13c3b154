// What there is to know about the model, in a dialog: the drawing stays, and where a key is asked for, no link brings it.

import { hasKey } from "./server.js";
import { factsOf } from "./words.js";

/** @param {HTMLDialogElement} dialog  @param {object} model  As the server describes it. */
export function showCard(dialog, model) {
  const parts = factsOf(model).flatMap(([name, fact]) => [make("dt", name), make("dd", fact)]);
  dialog.querySelector("dl").replaceChildren(...parts);
  dialog.querySelector("a").hidden = hasKey();
  dialog.showModal();
}

function make(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
