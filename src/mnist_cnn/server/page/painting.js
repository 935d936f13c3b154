// Scenes as pixels: on the screen, and in the file for the server.

import { fitted } from "./scenes.js";

const SENT_COLOURS = { ink: "#000", paper: "#fff" }; // in any theme

/**
 * Paint a part of a scene onto a canvas, as large as the canvas is high.
 * @param {HTMLCanvasElement} canvas
 * @param {import("./scenes.js").Scene} scene
 * @param {import("./scenes.js").Frame} frame  A picture is shown in the middle of it.
 * @param {{ink: string, paper: string}} colours
 */
export function paint(canvas, scene, frame, { ink, paper }) {
  const context = canvas.getContext("2d");
  const unit = canvas.height / frame.height; // pixels
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = paper;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.translate(-frame.left * unit, -frame.top * unit);
  if (scene.picture?.bitmap) paintPicture(context, scene.picture.bitmap, frame.width / frame.height, unit);
  context.strokeStyle = context.fillStyle = ink;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of scene.strokes) paintStroke(context, stroke, unit);
}

/**
 * Return the file for the server: the picture's own, or a part of the drawing as a PNG.
 * @param {import("./scenes.js").Scene} scene
 * @param {import("./scenes.js").Frame} frame
 * @param {number} height  Of the PNG, in pixels.
 * @returns {Promise<Blob>}
 */
export function toBlob(scene, frame, height) {
  if (scene.picture) return Promise.resolve(scene.picture.file);
  const canvas = document.createElement("canvas");
  canvas.height = height;
  canvas.width = Math.round((height * frame.width) / frame.height);
  paint(canvas, scene, frame, SENT_COLOURS);
  return new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
}

function paintPicture(context, bitmap, aspect, unit) {
  const { left, top, width, height } = fitted(bitmap, aspect);
  context.imageSmoothingEnabled = height * unit < 4 * bitmap.height; // the pixels of a 28×28 image should be visible
  context.drawImage(bitmap, left * unit, top * unit, width * unit, height * unit);
}

/** Each point is a bend: curves run between the midpoints of neighbouring points. */
function paintStroke(context, points, unit) {
  let from = points[0];
  context.beginPath(); // a dot, if there is only one point
  context.arc(from.x * unit, from.y * unit, (from.width * unit) / 2, 0, 2 * Math.PI);
  context.fill();
  let width = 0;
  for (const [bend, next] of points.slice(1).map((point, index) => [point, points[index + 2]])) {
    if (bend.width !== width) { // paths are as long as possible, because joints are visible
      if (width) context.stroke();
      width = bend.width;
      context.lineWidth = width * unit;
      context.beginPath();
      context.moveTo(from.x * unit, from.y * unit);
    }
    from = next ? { x: (bend.x + next.x) / 2, y: (bend.y + next.y) / 2 } : bend;
    context.quadraticCurveTo(bend.x * unit, bend.y * unit, from.x * unit, from.y * unit);
  }
  if (width) context.stroke();
}
