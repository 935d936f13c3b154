// Scenes as pixels: on the screen, and in the file for the server.

const SENT = 280; // pixels, ten for each of the network's
const SENT_COLOURS = { ink: "#000", paper: "#fff" }; // in any theme

/**
 * Paint a scene onto a square of `side` pixels.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./scenes.js").Scene} scene
 * @param {number} side
 * @param {{ink: string, paper: string}} colours
 */
export function paint(context, scene, side, { ink, paper }) {
  context.fillStyle = paper;
  context.fillRect(0, 0, side, side);
  if (scene.picture?.bitmap) paintPicture(context, scene.picture.bitmap, side);
  context.strokeStyle = context.fillStyle = ink;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of scene.strokes) paintStroke(context, stroke, side);
}

/** Return the file for the server: the picture's own, or the drawing as a PNG. */
export function toBlob(scene) {
  if (scene.picture) return Promise.resolve(scene.picture.file);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SENT;
  paint(canvas.getContext("2d"), scene, SENT, SENT_COLOURS);
  return new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
}

function paintPicture(context, bitmap, side) {
  const scale = side / Math.max(bitmap.width, bitmap.height);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  context.imageSmoothingEnabled = scale < 4; // the pixels of a 28×28 image should be visible
  context.drawImage(bitmap, (side - width) / 2, (side - height) / 2, width, height);
}

/** Each point is a bend: curves run between the midpoints of neighbouring points. */
function paintStroke(context, points, side) {
  let from = points[0];
  context.beginPath(); // a dot, if there is only one point
  context.arc(from.x * side, from.y * side, (from.width * side) / 2, 0, 2 * Math.PI);
  context.fill();
  let width = 0;
  for (const [bend, next] of points.slice(1).map((point, index) => [point, points[index + 2]])) {
    if (bend.width !== width) { // paths are as long as possible, because joints are visible
      if (width) context.stroke();
      width = bend.width;
      context.lineWidth = width * side;
      context.beginPath();
      context.moveTo(from.x * side, from.y * side);
    }
    from = next ? { x: (bend.x + next.x) / 2, y: (bend.y + next.y) / 2 } : bend;
    context.quadraticCurveTo(bend.x * side, bend.y * side, from.x * side, from.y * side);
  }
  if (width) context.stroke();
}
