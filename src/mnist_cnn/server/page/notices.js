// Messages: a notice beside the answer, and a toast with an Undo button.

const TOAST = 10_000; // ms

/** A notice stays until it is hidden. */
export class Notice {
  #element; #text; #button;
  #act = () => {};

  constructor(element) {
    this.#element = element;
    this.#text = element.querySelector("p");
    this.#button = element.querySelector("button");
    this.#button.addEventListener("click", () => this.#act());
  }

  /** @param {string} text  @param {string} action  What the button says; empty: no button.  @param {() => void} act */
  show(text, action = "", act = () => {}) {
    this.#act = act;
    this.#button.hidden = !action;
    this.#button.textContent = action;
    this.#element.hidden = false;
    if (this.#text.textContent !== text) this.#text.textContent = text;
  }

  hide() {
    this.#element.hidden = true;
    this.#text.textContent = "";
  }
}

/** A toast disappears after a while, unless the pointer or the focus is in it. */
export class Toast {
  #element; #timer = 0;
  #act = () => {};

  constructor(element) {
    this.#element = element;
    element.querySelector("button").addEventListener("click", () => {
      this.hide();
      this.#act();
    });
    for (const type of ["pointerenter", "focusin"]) element.addEventListener(type, () => clearTimeout(this.#timer));
    for (const type of ["pointerleave", "focusout"]) element.addEventListener(type, () => this.#hideLater());
  }

  /** @param {string} text  @param {string} picture  Address of an image; empty: none.  @param {() => void} undo */
  show(text, picture, undo) {
    this.#act = undo;
    this.#element.querySelector("p").textContent = text;
    const image = this.#element.querySelector("img");
    image.src = picture;
    image.hidden = !picture;
    this.#element.hidden = false;
    this.#hideLater();
  }

  hide() {
    clearTimeout(this.#timer);
    this.#element.hidden = true;
  }

  #hideLater() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!this.#element.contains(document.activeElement)) this.hide(); // the pointer left, but the focus is still in it
    }, TOAST);
  }
}
