// The content of the drawing surface, and its history. Nothing here depends on the screen.

/**
 * @typedef {{x: number, y: number, width: number}} Point  In heights of the surface, from its upper left corner.
 * @typedef {{left: number, top: number, width: number, height: number}} Frame  A rectangle, in heights of the surface.
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

/** Return a drawing with all strokes moved to the right. */
export const moved = (scene, right) => ({
  ...scene,
  strokes: scene.strokes.map((stroke) => stroke.map((point) => ({ ...point, x: point.x + right }))),
});

/** @param {number} aspect  Width of a surface by its height.  @returns {Frame}  All of it. */
export const whole = (aspect) => ({ left: 0, top: 0, width: aspect, height: 1 });

/**
 * Return where a picture lies on a surface: in the middle, as large as it fits.
 * @param {{width: number, height: number}} size  Of the picture, in any unit.
 * @param {number} aspect  Width of the surface by its height.
 * @returns {Frame}
 */
export function fitted(size, aspect) {
  const scale = Math.min(aspect / size.width, 1 / size.height);
  const [width, height] = [size.width * scale, size.height * scale];
  return { left: (aspect - width) / 2, top: (1 - height) / 2, width, height };
}

/**
 * Return the frame around all ink of a drawing.
 * @param {Point[][]} strokes  At least one.
 * @param {number} margin  On each side, as a share of the frame's height.
 * @param {number} least  Minimum height without the margin; a dash or a dot is not enlarged to a digit's size.
 * @returns {Frame}
 */
export function frameOfInk(strokes, margin, least) {
  const points = strokes.flat();
  const edge = (side, sign) => sign * Math.max(...points.map((point) => sign * point[side] + point.width / 2));
  const [left, right, top, bottom] = [edge("x", -1), edge("x", 1), edge("y", -1), edge("y", 1)];
  const height = Math.max(bottom - top, least) / (1 - 2 * margin);
  const width = right - left + 2 * margin * height;
  return { left: (left + right - width) / 2, top: (top + bottom - height) / 2, width, height };
}

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
