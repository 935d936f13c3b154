// Every text that depends on something.

const WORTH_SAYING = 0.3; // confidence of a guess

/** What kind of classes these are. */
export function kindOf(names) {
  if (names.every((name) => /^\d$/.test(name))) return "digit";
  return names.every((name) => [...name].length === 1) ? "character" : "picture";
}

const OF_KIND = {
  digit: { title: "Draw a digit", classes: "Probability of each digit", one: "digit" },
  character: { title: "Draw a character", classes: "Probability of each character", one: "character" },
  picture: { title: "Draw it", classes: "Probability of each class", one: "name" },
};

/** Whether there is one thing to read: only then its probabilities mean something, and it can be taught. */
export const isOne = ({ reason }) => !reason || reason === "uncertain";

/** Return the page's title and headings for a model with these classes. */
export function wordsOfKind(names) {
  const { title, classes, one } = OF_KIND[kindOf(names)];
  return { title, classes, teach: `Wrong? Click the right ${one} to teach it.` };
}

/** Return the keys that teach the first and the last class; none if a class has no key of its own. */
export const keysOf = (names) => (kindOf(names) === "picture" ? [] : [names[0], names.at(-1)]);

/** Describe a model for people. @returns {[string, string][]}  Names and facts. */
export function factsOf({ classes, architecture, dataset, accuracy, threshold, bytes, sha256, limits }) {
  const facts = [
    ["Classes", classes.join(", ")],
    ["Network", architecture],
    ["Size", `${Math.round(bytes / 1000)}\u202fkB`],
    ["Trained on", dataset],
    ["Accuracy", accuracy && `${(accuracy * 100).toFixed(2)}\u202f% on test images`],
    ["Threshold", `${percent(threshold)} confidence`],
    ["Largest image", `${Math.round(limits.body / 2 ** 20)}\u202fMiB, ${limits.pixels / 1e6} million pixels`],
    ["SHA-256", sha256],
  ];
  return facts.filter(([, fact]) => fact);
}

/** Write a probability, which is never shown as exactly 1. */
export function percent(probability) {
  if (probability >= 0.995) return ">\u202f99\u202f%";
  return `${Math.round(probability * 100)}\u202f%`;
}

export const NOTHING = "–"; // the label where nothing was read
export const NUMBER_TITLE = "Write a number";
const SEVERAL = "There is more than one thing to read."; // the server's explanation names commands

const sureness = (probability) => percent(probability).replace(">\u202f", "More than ");

/**
 * Describe a reading.
 * @param {object} reading  As the server gives it.
 * @param {boolean} isSettled  Whether the pen rests: an unfinished drawing is not called wrong.
 * @returns {{label: string, title: string, text: string}}
 */
export function wordsFor(reading, isSettled) {
  const { label, confidence, accepted, explanation } = reading;
  if (accepted) return { label, title: `${sureness(confidence)} sure`, text: "" };
  if (!isSettled) return isOne(reading) ? { label, title: `Maybe ${label} …`, text: "" } : { label: NOTHING, title: "Reading …", text: "" };
  const isGuess = isOne(reading) && confidence >= WORTH_SAYING;
  const title = reading.reason === "several" ? SEVERAL : explanation;
  return { label: "?", title, text: isGuess ? `Best guess: ${label}, ${percent(confidence)} sure.` : "" };
}

/** Describe the reading of a whole number; arguments and result as for `wordsFor`. */
export function wordsForNumber({ text, confidence, accepted, explanation }, isSettled) {
  const label = text || NOTHING;
  if (accepted) return { label, title: `${sureness(confidence)} sure`, text: "Accepted" };
  if (!isSettled) return { label, title: "Reading …", text: "" };
  return { label, title: explanation, text: text ? `Not accepted: ${percent(confidence)} sure.` : "" };
}

/** Describe what went wrong, and what to do. */
export function wordsOfTrouble(trouble) {
  switch (trouble.kind) {
    case "unreachable":
      return "The server does not answer. Your drawing is safe, and the page keeps trying.";
    case "busy":
      return `The server is busy. Trying again in ${trouble.wait} s.`;
    case "locked":
      return "This server needs an API key.";
    case "large":
      return "This image is too large for the server. Choose a smaller one.";
    case "unreadable":
      return capitalized(trouble.detail) || "This cannot be read as an image. Try a PNG or a JPEG.";
    default:
      return `That did not work. ${sentence(trouble.detail)}`;
  }
}

/** Say that a picture was kept. */
export function wordsOfKept(label, count) {
  const article = /^(8|11$|18$|[aefhilmnorsx]$|[aeiou][a-z])/i.test(label) ? "an" : "a";
  return `Kept as ${article} ${label}. ${count} ${count === 1 ? "picture" : "pictures"} so far.`;
}

/** Say that a picture was not kept, or not removed. */
export const wordsOfRefusal = (what, trouble) =>
  `The picture was ${what}. ${sentence(trouble.detail) || "The server does not answer."}`;

const capitalized = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const sentence = (text) => text && `The server says: ${text}`;
