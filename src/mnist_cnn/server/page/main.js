// The page: drawings go to the server, and its answers are shown.

import { Answer } from "./answer.js";
import { showCard } from "./card.js";
import { Classes } from "./classes.js";
import { askForKey } from "./key.js";
import { listenToShortcuts } from "./keyboard.js";
import { Newest } from "./newest.js";
import { Notice, Toast } from "./notices.js";
import { toBlob } from "./painting.js";
import { listenForFiles, listenToChooser, openPicture } from "./pictures.js";
import { BLANK, History, isBlank, ofPicture, withStroke } from "./scenes.js";
import { getModel, predict, Trouble } from "./server.js";
import { Surface } from "./surface.js";
import { Teaching } from "./teaching.js";
import { keysOf, wordsOfKind, wordsOfTrouble } from "./words.js";

const SETTLED = 600; // ms after the pen was lifted: a 4 or a 7 may have another stroke
const INVITATION = "The digit is read while you draw.";
const LONGEST_WAIT = 8; // s between two tries to reach the server

const $ = (selector) => document.querySelector(selector);
const history = new History();
const surface = new Surface($("#surface"), history.scene);
const classes = new Classes($("#classes"));
const answer = new Answer($("#answer"), $("#status"), classes);
const notice = new Notice($("#notice"));
const questions = new Newest(async (scene, signal) => predict(await toBlob(scene), signal), answered, failed);
const board = { get scene() { return surface.scene; }, clear, reopen, focus: () => $("#surface").focus() };
const teaching = new Teaching(board, answer, notice, new Toast($("#toast")));

let model = null; // as the server describes it; null: not known yet
let reading = null; // of the scene on the surface; null: none yet
let isSettled = true; // whether the pen rests
let settling = 0; // timer
let failures = 0; // in a row

// The surface

function drawn() {
  clearTimeout(settling);
  isSettled = false;
  refresh();
  questions.ask(surface.scene);
}

function strokeEnded({ detail: stroke }) {
  history.push(withStroke(history.scene, stroke));
  surface.show(history.scene);
  refresh();
  questions.ask(history.scene);
  settling = setTimeout(settle, SETTLED);
}

function settle() {
  isSettled = true;
  if (reading) answer.showReading(reading, isSettled);
}

async function take(file) {
  restore(ofPicture(await openPicture(file)));
}

function restore(scene) {
  history.push(scene);
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
  if (!surface.isDrawing) history.undo(); // otherwise the unfinished stroke is dropped
  turn();
  teaching.undone(history.scene);
}

function redo() {
  history.redo();
  turn();
}

/** Show the current scene of the history, and ask about it. */
function turn() {
  clearTimeout(settling);
  isSettled = true;
  reading = null;
  questions.forget();
  surface.show(history.scene);
  refresh();
  if (!failures || isBlank(history.scene)) notice.hide(); // the server is still not reachable
  if (isBlank(history.scene)) answer.showNothing(INVITATION);
  else questions.ask(history.scene);
}

function refresh() {
  const { scene } = surface;
  $("#hint").hidden = !isBlank(scene);
  $("#unseen").hidden = !scene.picture || scene.picture.bitmap !== null;
  $("#undo").disabled = !history.canUndo && !surface.isDrawing;
  $("#redo").disabled = !history.canRedo;
  $("#clear").disabled = isBlank(scene);
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
  document.title = $("#title").textContent = words.title;
  $("#classes-title").textContent = words.classes;
  $("#teach").textContent = words.teach;
  $("#teach").hidden = !model.collecting;
  const keys = keysOf(model.classes);
  $("#teach-keys").hidden = !model.collecting || !keys.length;
  document.querySelectorAll("#teach-keys kbd").forEach((element, index) => { element.textContent = keys[index] ?? ""; });
  classes.build(model.classes, model.collecting ? teach : null);
  if (reading) answer.showReading(reading, isSettled);
}

async function showModel() {
  if (!model) await loadModel();
  if (model) showCard($("#card"), model);
  else notice.show("The server did not describe its model.", "Try again", showModel);
}

function pick(name) {
  if (!model?.collecting || !model.classes.includes(name)) return false;
  teach(name);
  return true;
}

function teach(name) {
  teaching.teach(name);
}

function answered(prediction) {
  failures = 0;
  notice.hide();
  reading = prediction;
  answer.showReading(reading, isSettled);
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
window.addEventListener("online", () => questions.release());
classes.build([..."0123456789"], null); // until the server gives its own
answer.showNothing(INVITATION);
loadModel();
