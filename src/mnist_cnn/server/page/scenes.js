// The content of the drawing surface, and its history. Nothing here depends on the screen.

/**
 * @typedef {{x: number, y: number, width: number}} Point  Shares of the surface's side, 0 … 1.
 * @typedef {import("./pictures.js").Picture} Picture
 * @typedef {{strokes: Point[][], picture: Picture | null}} Scene  Never changed: history keeps them.
 */

/** @type {Scene} */
export const BLANK = Object.freeze({ strokes: [], picture: null });

const MOST_SCENES = 200;
const MOST_PICTURES = 10; // the bitmap of one takes up to 10 MB

/** A stroke on a picture begins a new drawing. */
export const withStroke = (scene, stroke) => ({ strokes: [...scene.strokes, stroke], picture: null });
export const ofPicture = (picture) => ({ strokes: [], picture });
export const isBlank = (scene) => !scene.picture && scene.strokes.length === 0;

const picturesOf = (scenes) => new Set(scenes.map((scene) => scene.picture).filter(Boolean));

/** All scenes, and the one that is shown. */
export class History {
  #scenes = [BLANK];
  #at = 0;

  get scene() { return this.#scenes[this.#at]; }
  get canUndo() { return this.#at > 0; }
  get canRedo() { return this.#at < this.#scenes.length - 1; }

  /** Show a new scene. Undone and very old scenes are dropped, and their pictures closed. */
  push(scene) {
    const scenes = [...this.#scenes.slice(0, this.#at + 1), scene].slice(-MOST_SCENES);
    while (picturesOf(scenes).size > MOST_PICTURES) scenes.shift();
    const kept = picturesOf(scenes);
    for (const picture of picturesOf(this.#scenes)) if (!kept.has(picture)) picture.bitmap?.close();
    this.#scenes = scenes;
    this.#at = scenes.length - 1;
  }

  undo() { if (this.canUndo) this.#at -= 1; }
  redo() { if (this.canRedo) this.#at += 1; }
}
