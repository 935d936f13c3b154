// The API key, if the server needs one.

import { hasKey, useKey } from "./server.js";

let asking = null; // one dialog for all callers

/** Ask for the key. @returns {Promise<boolean>}  Whether one was given. */
export function askForKey() {
  asking ??= ask().finally(() => { asking = null; });
  return asking;
}

function ask() {
  const dialog = document.querySelector("#key");
  const input = dialog.querySelector("input");
  dialog.querySelector("#key-help").textContent = hasKey()
    ? "That key was not accepted. Try another one."
    : "It is kept in this tab until you close it.";
  input.value = "";
  dialog.returnValue = "";
  dialog.querySelector("button[type=button]").onclick = () => dialog.close(); // a second submit button would react to Enter
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const isGiven = dialog.returnValue === "use";
      if (isGiven) useKey(input.value.trim()); // its pattern accepts only what a header can contain
      input.value = "";
      resolve(isGiven);
    }, { once: true });
  });
}
