// Every sentence that depends on something.

const WORTH_SAYING = 0.3; // confidence of a guess

/** What the classes are, all together. */
export function kindOf(names) {
  if (names.every((name) => /^\d$/.test(name))) return "digit";
  return names.every((name) => [...name].length === 1) ? "character" : "picture";
}

const OF_KIND = {
  digit: { title: "Draw a digit", classes: "How likely each digit is", one: "digit" },
  character: { title: "Draw a character", classes: "How likely each character is", one: "character" },
  picture: { title: "Draw it", classes: "How likely each one is", one: "name" },
};
const NOT_ONE = { digit: "Not a digit", character: "Not a character", picture: "Nothing I know" };
const SEVERAL = { digit: "More than one digit", character: "More than one character", picture: "More than one thing" };

/** Give the page's title and headings for a model with these classes. */
export function wordsOfKind(names) {
  const { title, classes, one } = OF_KIND[kindOf(names)];
  return { title, classes, teach: `Wrong? Click the right ${one} to teach it.` };
}

/** Say why what is more than one is not kept. */
export const wordsOfSeveral = (names) => `${SEVERAL[kindOf(names)]} cannot be kept under one name. Draw one at a time.`;

/** Give the keys that teach the first and the last class; none where a class has no key of its own. */
export const keysOf = (names) => (kindOf(names) === "picture" ? [] : [names[0], names.at(-1)]);

/** Say of a model what a person may want to know. @returns {[string, string][]}  Names and facts. */
export function factsOf({ classes, architecture, dataset, accuracy, threshold, bytes, sha256, limits }) {
  const facts = [
    ["Reads", classes.join(", ")],
    ["Network", architecture],
    ["Size", `${Math.round(bytes / 1000)}\u202fkB`],
    ["Trained on", dataset],
    ["Right", accuracy && `${(accuracy * 100).toFixed(2)}\u202f% of its test images`],
    ["Accepts", `what it is at least ${percent(threshold)} sure of`],
    ["Images", `up to ${Math.round(limits.body / 2 ** 20)}\u202fMiB and ${limits.pixels / 1e6} million pixels`],
    ["SHA-256", sha256],
  ];
  return facts.filter(([, fact]) => fact);
}

/** Probabilities are never quite 0 or 1, and are not shown so. */
export function percent(probability) {
  if (probability >= 0.995) return ">\u202f99\u202f%";
  return `${Math.round(probability * 100)}\u202f%`;
}

const sureness = (probability) => percent(probability).replace(">\u202f", "More than ");

/**
 * Say what was read.
 * @param {object} reading  As the server gives it.
 * @param {string} kind  Of the classes.
 * @param {boolean} isSettled  Whether the drawing rests: what is under way is not called wrong.
 * @returns {{label: string, title: string, text: string}}
 */
export function wordsFor(reading, kind, isSettled) {
  const { label, confidence, reason } = reading;
  if (!reason) return { label, title: `${sureness(confidence)} sure`, text: "" };
  if (reason === "blank") return { label: "–", title: "No ink", text: "I see nothing written. Try a darker pen, or closer." };
  if (!isSettled) return { label, title: `Perhaps ${label} …`, text: "" };
  if (reason === "several") {
    return { label: "?", title: SEVERAL[kind], text: "One at a time, please." };
  }
  const text = confidence < WORTH_SAYING ? "It looks like none that I know." : `If it is one: ${label}, ${percent(confidence)} sure.`;
  return { label: "?", title: NOT_ONE[kind], text };
}

/** Say what went wrong, and what to do. */
export function wordsOfTrouble(trouble) {
  switch (trouble.kind) {
    case "unreachable":
      return "The server does not answer. What you drew is safe; I keep trying.";
    case "busy":
      return `The server is busy. I ask again in ${trouble.wait} s.`;
    case "locked":
      return "This server asks for an API key.";
    case "large":
      return "This image is too large for the server. Choose a smaller one.";
    case "empty":
      return "This file is empty. Choose another one.";
    case "unreadable":
      return `This cannot be read as an image. ${sentence(trouble.detail) || "Try a PNG or a JPEG."}`;
    default:
      return `That did not work. ${sentence(trouble.detail)}`;
  }
}

/** Say that something was not kept, or not taken back. */
export const wordsOfRefusal = (what, trouble) =>
  `This was ${what}. ${sentence(trouble.detail) || "The server does not answer."}`;

const sentence = (text) => text && `The server says: ${text}`;
