// Image files: chosen, photographed, dropped or pasted.

/**
 * @typedef {object} Picture
 * @property {Blob} file  For the server.
 * @property {ImageBitmap | null} bitmap  null: this browser cannot show it.
 * @property {{width: number, height: number} | null} size  Of the file, in pixels, if there is a bitmap.
 */

const LONGEST = 1600; // pixels of the longer side: more than the server needs, and quick to upload
const SMALL = 2 ** 20; // bytes; smaller files are sent unchanged

/**
 * Open an image file. One that this browser cannot show is kept as it is: the server knows more kinds.
 * @param {File} file
 * @returns {Promise<Picture>}
 */
export async function openPicture(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return { file, bitmap: null, size: null };
  }
  const size = { width: bitmap.width, height: bitmap.height };
  const scale = LONGEST / Math.max(size.width, size.height);
  if (scale >= 1) return { file, bitmap, size };
  const smaller = shrink(bitmap, scale);
  bitmap.close();
  const shown = await createImageBitmap(smaller);
  if (file.size <= SMALL) return { file, bitmap: shown, size };
  return { file: await toFile(smaller, file.type), bitmap: shown, size: { width: shown.width, height: shown.height } };
}

function toFile(canvas, type) {
  const kind = type === "image/jpeg" ? type : "image/png"; // a PNG may be transparent
  return new Promise((resolve) => { canvas.toBlob(resolve, kind, 0.92); });
}

function shrink(bitmap, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/**
 * Call `take` with each file that is dropped anywhere on the page or pasted.
 * @param {(file: File) => void} take
 */
export function listenForFiles(take) {
  const root = document.documentElement;
  const leave = () => root.classList.remove("dropping");
  document.addEventListener("dragover", (event) => {
    event.preventDefault(); // otherwise the browser opens the file instead of the page
    root.classList.toggle("dropping", event.dataTransfer.types.includes("Files"));
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) leave(); });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    leave();
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (file) take(file);
  });
}

/** Call `take` with the file that is chosen once `button` is pressed. */
export function listenToChooser(button, input, take) {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files.length) take(input.files[0]);
    input.value = ""; // the same file may be chosen again
  });
}
