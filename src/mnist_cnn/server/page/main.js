// The page: drawings go to the server, and its answers are shown.

import { Answer } from "./answer.js";
import { Boxes } from "./boxes.js";
import { showCard } from "./card.js";
import { Classes } from "./classes.js";
import { askForKey } from "./key.js";
import { listenToShortcuts } from "./keyboard.js";
import { DIGIT, NUMBER, readDigit, readNumber } from "./modes.js";
import { Newest } from "./newest.js";
import { Notice, Toast } from "./notices.js";
import { listenForFiles, listenToChooser, openPicture } from "./pictures.js";
import { BLANK, History, isBlank, moved, ofPicture, withStroke } from "./scenes.js";
import { getModel, Trouble } from "./server.js";
import { Surface } from "./surface.js";
import { Teaching } from "./teaching.js";
import { keysOf, kindOf, NUMBER_TITLE, wordsOfKind, wordsOfTrouble } from "./words.js";

const SETTLED = 600; // ms after the pen was lifted: a 4 or a 7 may have another stroke
const PAUSE = 150; // ms in which the pen does not move: half a digit of a number looks like another one
const TYPED = 400; // ms after the last key in a field
const LONGEST_WAIT = 8; // s between two tries to reach the server

const $ = (selector) => document.querySelector(selector);
const surface = new Surface($("#surface"), BLANK, DIGIT);
const classes = new Classes($("#classes"));
const answer = new Answer($("#answer"), $("#status"), classes, new Boxes($("#boxes"), NUMBER.aspect));
const notice = new Notice($("#notice"));
const questions = new Newest((scene, signal) => mode.read(scene, signal), answered, failed);
const board = { get scene() { return surface.scene; }, clear, reopen, focus: () => $("#surface").focus() };
const teaching = new Teaching(board, answer, notice, new Toast($("#toast")));

const MODES = {
  digit: {
    form: DIGIT,
    history: new History(),
    pause: 0,
    hint: "Draw here",
    invitation: "The digit is read while you draw.",
    read: readDigit,
    show: () => answer.showDigit(reading, isFinal()),
  },
  number: {
    form: NUMBER,
    history: new History(),
    pause: PAUSE,
    hint: "Write here",
    invitation: "The number is read while you write.",
    read: (scene, signal) => readNumber(scene, constraint(), signal),
    show: () => answer.showNumber(reading, isFinal()),
  },
};

let mode = MODES.digit;
let model = null; // as the server describes it; null: not known yet
let reading = null; // of the scene on the surface, or of its beginning while it is drawn; null: none yet
let readScene = null; // to which the reading is the answer
let isSettled = true; // whether the pen rests
let settling = 0; // timer
let pausing = 0; // timer
let failures = 0; // in a row

// The surface

function drawn() {
  clearTimeout(settling);
  isSettled = false;
  if (readScene?.picture) forget(); // a stroke on a picture begins a new drawing
  else answer.outdate();
  refresh();
  if (mode.pause) askLater(mode.pause);
  else questions.ask(surface.scene);
}

function askLater(pause) {
  clearTimeout(pausing);
  pausing = setTimeout(() => { if (!isBlank(surface.scene)) questions.ask(surface.scene); }, pause);
}

function strokeEnded({ detail: stroke }) {
  const { history } = mode;
  clearTimeout(pausing);
  history.push(withStroke(history.scene, stroke));
  surface.show(history.scene);
  answer.outdate();
  refresh();
  questions.ask(history.scene);
  settling = setTimeout(settle, SETTLED);
}

/** Whether the reading is the answer to all that was drawn. */
function isFinal() {
  return isSettled && readScene === surface.scene;
}

function settle() {
  isSettled = true;
  if (isFinal()) showReading();
}

function showReading() {
  if (!reading) return;
  mode.show();
  if (!surface.isDrawing && readScene !== surface.scene) answer.outdate(); // the next answer is on its way
}

async function take(file) {
  restore(ofPicture(await openPicture(file)));
}

function restore(scene) {
  mode.history.push(scene);
  turn();
}

/** Show a scene again; a picture is opened again, because history may have closed it. */
async function reopen(scene) {
  if (scene.picture) await take(scene.picture.file);
  else restore(scene);
}

function clear() {
  if (isBlank(surface.scene)) return;
  restore(BLANK);
  answer.say("Cleared");
}

function undo() {
  if (!surface.isDrawing) mode.history.undo(); // otherwise the unfinished stroke is dropped
  turn();
  teaching.undone(mode.history.scene);
}

function redo() {
  mode.history.redo();
  turn();
}

/** Show the current scene of the history, and ask about it. */
function turn() {
  const { scene } = mode.history;
  clearTimeout(settling);
  clearTimeout(pausing);
  isSettled = true;
  surface.show(scene, mode.form);
  refresh();
  forget();
  if (!isBlank(scene)) questions.ask(scene);
}

/** Drop the answer, and all that are still to come: they are not for what is on the surface now. */
function forget() {
  const { scene } = surface;
  reading = readScene = null;
  questions.forget();
  if (!failures || isBlank(scene)) notice.hide(); // the server is still not reachable
  if (isBlank(scene)) answer.showNothing(mode.invitation);
  else answer.showWaiting();
}

function refresh() {
  const { scene } = surface;
  $("#hint").hidden = !isBlank(scene);
  $("#unseen").hidden = !scene.picture || scene.picture.bitmap !== null;
  $("#undo").disabled = !mode.history.canUndo && !surface.isDrawing;
  $("#redo").disabled = !mode.history.canRedo;
  $("#clear").disabled = isBlank(scene);
}

// Digit or number

/** Switch to another surface. A picture comes along, unless there is something on that surface. */
async function switchTo(name) {
  const { picture } = surface.scene;
  setMode(name);
  if (picture && isBlank(mode.history.scene)) await take(picture.file);
  else turn();
}

/** Read what is on the digit's surface as a number. */
async function readAsNumber() {
  const { scene } = surface;
  setMode("number");
  $("#surface").focus(); // the button has disappeared
  if (scene.picture) await take(scene.picture.file);
  else restore(moved(scene, (NUMBER.aspect - DIGIT.aspect) / 2));
}

function setMode(name) {
  const root = document.documentElement;
  mode = MODES[name];
  reading = null;
  questions.forget();
  root.dataset.mode = name;
  root.style.setProperty("--aspect", mode.form.aspect);
  document.querySelector(`#modes [value=${name}]`).checked = true;
  $("#hint b").textContent = mode.hint;
  answer.showNothing(mode.invitation);
  showTitle();
  const address = name === "digit" ? location.pathname + location.search : `#${name}`;
  window.history.replaceState(null, "", address); // a reload stays here, and the address can be shared
}

function switchToAddress() {
  const name = location.hash === "#number" ? "number" : "digit";
  if (mode !== MODES[name]) switchTo(name);
}

/** Read again when no key has been pressed for a moment. */
function constrained() {
  forget();
  askLater(TYPED);
}

/** Return what is known about the number. */
function constraint() {
  return { length: $("#length").value.trim(), pattern: $("#pattern").value.trim() };
}

function showTitle() {
  const title = mode === MODES.number ? NUMBER_TITLE : wordsOfKind(classes.names).title;
  document.title = $("#title").textContent = title;
}

// The server

async function loadModel() {
  try {
    model = await getModel();
  } catch (error) {
    if (error.kind === "locked") await unlock(loadModel);
    return; // any other trouble also affects the next question
  }
  const words = wordsOfKind(model.classes);
  $("#classes-title").textContent = words.classes;
  $("#teach").textContent = words.teach;
  $("#teach").hidden = !model.collecting;
  const keys = keysOf(model.classes);
  $("#teach-keys").hidden = !model.collecting || !keys.length;
  document.querySelectorAll("#teach-keys kbd").forEach((element, index) => { element.textContent = keys[index] ?? ""; });
  classes.build(model.classes, model.collecting ? teach : null);
  const hasNumbers = kindOf(model.classes) === "digit";
  document.documentElement.classList.toggle("no-numbers", !hasNumbers);
  if (!hasNumbers && mode === MODES.number) await switchTo("digit");
  showTitle();
  showReading();
}

async function showModel() {
  if (!model) await loadModel();
  if (model) showCard($("#card"), model);
  else notice.show("The server did not describe its model.", "Try again", showModel);
}

function pick(name) {
  if (mode !== MODES.digit || !model?.collecting || !model.classes.includes(name)) return false;
  teach(name);
  return true;
}

function teach(name) {
  teaching.teach(name);
}

function answered(prediction, scene) {
  if (scene.picture !== surface.scene.picture) return; // a new drawing has begun
  failures = 0;
  notice.hide();
  reading = prediction;
  readScene = scene;
  showReading();
  if (!model) loadModel();
}

function failed(error, scene) {
  if (!(error instanceof Trouble)) throw error;
  const words = wordsOfTrouble(error);
  reading = null;
  answer.showNothing();
  switch (error.kind) {
    case "unreachable":
      notice.show(words, "Try now", () => questions.release());
      return retry(scene, Math.min(LONGEST_WAIT, 2 ** failures));
    case "busy":
      notice.show(words);
      return retry(scene, error.wait);
    case "locked":
      return notice.show(words, "Enter the key", () => unlock(() => questions.ask(scene)));
    default:
      return notice.show(words);
  }
}

function retry(scene, seconds) {
  failures += 1;
  questions.hold(seconds);
  questions.again(scene);
}

async function unlock(then) {
  if (await askForKey()) await then();
}

surface.addEventListener("stroke", drawn);
surface.addEventListener("strokeend", strokeEnded);
surface.addEventListener("pen", ({ detail: isDown }) => answer.say(isDown ? "Pen down" : "Pen up"));
listenForFiles(take);
listenToChooser($("#choose"), $("#file"), take);
listenToChooser($("#photograph"), $("#camera"), take);
listenToShortcuts({ undo, redo, clear, pick });
for (const [id, action] of Object.entries({ undo, redo, clear })) $(`#${id}`).addEventListener("click", action);
$("#about").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return; // in a new tab
  event.preventDefault();
  showModel();
});
for (const input of document.querySelectorAll("#modes input")) input.addEventListener("change", () => switchTo(input.value));
$("#as-number").addEventListener("click", readAsNumber);
$("#known").addEventListener("input", constrained);
window.addEventListener("hashchange", switchToAddress);
window.addEventListener("online", () => questions.release());
classes.build([..."0123456789"], null); // until the server gives its own
answer.showNothing(mode.invitation);
switchToAddress();
loadModel();
