// Teaching: the server keeps a drawing with its correct label, and can remove it again.

import { fileOfDigit } from "./modes.js";
import { isBlank } from "./scenes.js";
import { keep, takeBack, Trouble } from "./server.js";
import { wordsOfKept, wordsOfRefusal } from "./words.js";

export class Teaching {
  #board; #answer; #notice; #toast;
  #kept = new WeakMap(); // by scene: the picture that the server keeps
  #isBusy = false;

  /**
   * @param {{scene: object, clear: () => void, reopen: (scene: object) => Promise<void>, focus: () => void}} board
   * @param {import("./answer.js").Answer} answer
   * @param {import("./notices.js").Notice} notice
   * @param {import("./notices.js").Toast} toast
   */
  constructor(board, answer, notice, toast) {
    this.#board = board;
    this.#answer = answer;
    this.#notice = notice;
    this.#toast = toast;
  }

  /** Keep the drawing under a label, and clear the surface for the next one. */
  async teach(label) {
    const { scene } = this.#board;
    if (isBlank(scene) || this.#isBusy) return;
    this.#isBusy = true;
    try {
      await this.#try("not kept", async () => {
        const { name, kept: count } = await keep(await fileOfDigit(scene), label);
        this.#kept.set(scene, { label, name });
        const words = wordsOfKept(label, count);
        this.#toast.show(words, this.#answer.picture, () => this.#undo(scene));
        if (this.#board.scene === scene) this.#board.clear();
        this.#answer.say(`${words} The Undo button at the end of the page removes it.`);
      });
    } finally {
      this.#isBusy = false; // also after a bug, which `#try` passes on
    }
  }

  /** Remove what was kept of a scene that undoing has come back to. */
  async undone(scene) {
    if (this.#kept.has(scene) && await this.#takeBack(scene)) this.#toast.hide();
  }

  async #undo(scene) {
    this.#board.focus(); // the button has disappeared
    if (await this.#takeBack(scene) && isBlank(this.#board.scene)) await this.#board.reopen(scene);
  }

  /** Remove it, and say whether that worked. */
  async #takeBack(scene) {
    await this.#try("not removed", async () => {
      await takeBack(this.#kept.get(scene));
      this.#kept.delete(scene);
      this.#answer.say("Removed");
    });
    return !this.#kept.has(scene);
  }

  async #try(failure, work) {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      this.#notice.show(wordsOfRefusal(failure, error));
    }
  }
}
