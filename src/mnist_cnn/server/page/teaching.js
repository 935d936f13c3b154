// Teaching: an image and its right class are kept by the server, and may be taken back.

import { toBlob } from "./painting.js";
import { isBlank } from "./scenes.js";
import { keep, takeBack, Trouble } from "./server.js";
import { wordsOfRefusal } from "./words.js";

export class Teaching {
  #board; #answer; #notice; #toast;
  #kept = new WeakMap(); // of a scene: the picture that the server has of it
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

  /** Keep what is on the surface as a `label`, and clear the surface for the next one. */
  async teach(label) {
    const { scene } = this.#board;
    if (isBlank(scene) || this.#isBusy) return;
    this.#isBusy = true;
    try {
      await this.#try("not kept", async () => {
        const { name, kept: count } = await keep(await toBlob(scene), label);
        this.#kept.set(scene, { label, name });
        const words = `Kept as ${label} · ${count} so far`;
        this.#toast.show(words, this.#answer.picture, () => this.#undo(scene));
        if (this.#board.scene === scene) this.#board.clear();
        this.#answer.say(`${words}. A button at the end of the page takes it back.`);
      });
    } finally {
      this.#isBusy = false; // also after an error of the page's own, which `#try` passes on
    }
  }

  /** Take back what was kept of a scene, if anything was: undoing has come back to it. */
  async undone(scene) {
    if (this.#kept.has(scene) && await this.#takeBack(scene)) this.#toast.hide();
  }

  async #undo(scene) {
    this.#board.focus(); // its button is gone
    if (await this.#takeBack(scene) && isBlank(this.#board.scene)) await this.#board.reopen(scene);
  }

  /** Say whether it is taken back. */
  async #takeBack(scene) {
    await this.#try("not taken back", async () => {
      await takeBack(this.#kept.get(scene));
      this.#kept.delete(scene);
      this.#answer.say("Taken back");
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
