// What lies on the drawing surface, and how it came about. Nothing here knows the screen.

/**
 * @typedef {{x: number, y: number, width: number}} Point  Shares of the surface's side, 0 … 1.
 * @typedef {import("./pictures.js").Picture} Picture
 * @typedef {{strokes: Point[][], picture: Picture | null}} Scene  Never changed once made: history keeps them.
 */

/** @type {Scene} */
export const BLANK = Object.freeze({ strokes: [], picture: null });

const AT_MOST = 200; // scenes; a picture's bitmap may lie in each

/** A stroke drawn on a picture begins a new drawing: one asks about the picture or about the drawing. */
export const withStroke = (scene, stroke) => ({ strokes: [...scene.strokes, stroke], picture: null });
export const ofPicture = (picture) => ({ strokes: [], picture });
export const isBlank = (scene) => !scene.picture && scene.strokes.length === 0;

/** Scenes one after the other, and the one that is shown. */
export class History {
  #scenes = [BLANK];
  #at = 0;

  get scene() { return this.#scenes[this.#at]; }
  get canUndo() { return this.#at > 0; }
  get canRedo() { return this.#at < this.#scenes.length - 1; }

  /** Show a new scene; what had been undone is gone. */
  push(scene) {
    this.#scenes = [...this.#scenes.slice(0, this.#at + 1), scene].slice(-AT_MOST);
    this.#at = this.#scenes.length - 1;
  }

  undo() { if (this.canUndo) this.#at -= 1; }
  redo() { if (this.canRedo) this.#at += 1; }
}
