// The model in a dialog, so that the drawing stays. A link would not send the API key, so it is hidden then.

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
