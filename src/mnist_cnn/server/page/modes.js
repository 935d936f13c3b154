// What can be written: one digit, or a whole number. Each has a surface of its own form.

import { toBlob } from "./painting.js";
import { fitted, frameOfInk, whole } from "./scenes.js";
import { predict, read } from "./server.js";

const LINE_HEIGHT = 128; // pixels, of a number that is sent; four for each of the network's
const MARGIN = 0.12; // of a number that is sent, as a share of its height
const LEAST_INK = 0.3; // heights of the surface; see `frameOfInk`

/**
 * @typedef {object} Form
 * @property {number} aspect  Width of the surface by its height.
 * @property {number} pen  Width of a stroke, in heights of the surface.
 */

/** @type {Form}  The stroke is about as wide as that of MNIST's digits. */
export const DIGIT = { aspect: 1, pen: 0.055 };

/** @type {Form}  The stroke suits digits that fill two thirds of the height. */
export const NUMBER = { aspect: 2.5, pen: 0.04 };

/** Return the file of a digit: ten pixels for each of the network's. */
export const fileOfDigit = (scene) => toBlob(scene, whole(DIGIT.aspect), 280);

/** Read the digit of a scene. @param {AbortSignal} signal */
export const readDigit = async (scene, signal) => predict(await fileOfDigit(scene), signal);

/**
 * Read the number of a scene. What is sent of a drawing is its ink, however small it was written.
 * @param {import("./scenes.js").Scene} scene
 * @param {{length: string, pattern: string}} constraint  Empty: none.
 * @param {AbortSignal} signal
 * @returns {Promise<object>}  As the server gives it; the boxes of the digits are frames on the surface.
 */
export async function readNumber(scene, constraint, signal) {
  const { picture, strokes } = scene;
  const frame = picture ? picture.size && fitted(picture.size, NUMBER.aspect) : frameOfInk(strokes, MARGIN, LEAST_INK);
  const reading = await read(await toBlob(scene, frame, LINE_HEIGHT), constraint, signal);
  const unit = picture ? picture.size?.height : LINE_HEIGHT; // pixels of the file's height
  const digits = reading.digits.map((digit) => ({ ...digit, box: frame && placed(digit.box, frame, frame.height / unit) }));
  return { ...reading, digits };
}

/** Convert a box in pixels of a file to a frame on the surface. */
const placed = ({ left, top, right, bottom }, frame, scale) => ({
  left: frame.left + left * scale,
  top: frame.top + top * scale,
  width: (right - left) * scale,
  height: (bottom - top) * scale,
});
