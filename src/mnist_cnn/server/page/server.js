// The server's API. Addresses are relative, because a proxy may add a prefix.

const PATIENCE = 15_000; // ms to wait for an answer
const KEY = "mnist-cnn.api-key"; // in sessionStorage, until the tab is closed

/** What can go wrong, as far as the page distinguishes it. */
export class Trouble extends Error {
  /**
   * @param {"unreachable" | "busy" | "locked" | "large" | "unreadable" | "failed"} kind
   * @param {{status?: number, wait?: number, detail?: string}} more  wait: seconds until the next try.
   */
  constructor(kind, { status = 0, wait = 0, detail = "" } = {}) {
    super(`${kind}: ${detail}`);
    Object.assign(this, { kind, status, wait, detail });
  }
}

let key = remembered();

export const hasKey = () => key !== null;

export function useKey(value) {
  key = value;
  try { sessionStorage.setItem(KEY, value); } catch { /* forbidden: then it lasts until the page is closed */ }
}

function remembered() {
  try { return sessionStorage.getItem(KEY); } catch { return null; }
}

export const getModel = () => call("model", { headers: { Accept: "application/json" } });

/** Read the digit in one image. @param {Blob} blob @param {AbortSignal} signal */
export async function predict(blob, signal) {
  return (await send("predict?picture=true", blob, signal)).predictions[0];
}

/**
 * Read the number in one image.
 * @param {Blob} blob
 * @param {{length: string, pattern: string}} constraint  Empty: none.
 * @param {AbortSignal} signal
 */
export async function read(blob, constraint, signal) {
  const given = Object.entries(constraint).filter(([, value]) => value);
  const query = given.length ? `?${new URLSearchParams(given)}` : "";
  return (await send(`read${query}`, blob, signal)).readings[0];
}

function send(path, blob, signal) {
  const type = blob.type.startsWith("image/") ? blob.type : "application/octet-stream";
  return call(path, { method: "POST", body: blob, headers: { "Content-Type": type }, signal });
}

/** Keep an image with its label. @returns {Promise<{label: string, name: string, kept: number}>} */
export async function keep(blob, label) {
  const body = JSON.stringify({ image: await toDataUrl(blob), label });
  return call("collect", { method: "POST", body, headers: { "Content-Type": "application/json" } });
}

/** Remove a picture that was kept. */
export const takeBack = ({ label, name }) =>
  call(`collect/${encodeURIComponent(label)}/${encodeURIComponent(name)}`, { method: "DELETE" });

async function call(path, { headers, signal, ...options }) {
  const all = new Headers(headers); // not below: an invalid header is not a fault of the server
  if (key) all.set("X-API-Key", key);
  const signals = [AbortSignal.timeout(PATIENCE), signal].filter(Boolean);
  try {
    const response = await fetch(path, { ...options, headers: all, signal: AbortSignal.any(signals) });
    if (!response.ok) throw await troubleOf(response);
    return response.status === 204 ? null : await response.json();
  } catch (error) {
    if (signal?.aborted || error instanceof Trouble) throw error;
    throw new Trouble("unreachable");
  }
}

async function troubleOf(response) {
  const problem = await response.json().catch(() => ({}));
  const kinds = { 401: "locked", 408: "busy", 413: "large", 415: "unreadable", 422: "unreadable", 429: "busy", 503: "busy" };
  return new Trouble(kinds[response.status] ?? "failed", {
    status: response.status,
    wait: Number(response.headers.get("Retry-After")) || 1,
    detail: problem.detail ?? "",
  });
}

function toDataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Trouble("unreadable"));
    reader.readAsDataURL(blob);
  });
}
