// The drawing surface: mouse, finger, pen or arrow keys become strokes.

import { paint } from "./painting.js";
import { whole, withStroke } from "./scenes.js";

const NEAREST = 0.004; // heights of the surface; points nearer than this to the last one are skipped
const STEP = 1 / 40; // heights of the surface, per key press; a held key repeats
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Emits "stroke" (begun or longer) and "strokeend" (detail: the stroke), and "pen" (detail: whether it is down). */
export class Surface extends EventTarget {
  #element; #canvas; #pen;
  #scene; #form;
  #stroke = null; // in progress
  #pointer = null; // that draws it; null: the keyboard
  #at = { x: 0.5, y: 0.3 }; // position of the keyboard's pen
  #held = new Set(); // arrow keys
  #frame = 0;

  /**
   * @param {HTMLElement} element  Contains a canvas and the mark of the keyboard's pen.
   * @param {import("./scenes.js").Scene} scene
   * @param {import("./modes.js").Form} form
   */
  constructor(element, scene, form) {
    super();
    this.#element = element;
    this.#canvas = element.querySelector("canvas");
    this.#pen = element.querySelector("#pen");
    this.#scene = scene;
    this.#form = form;
    this.#listenToPointers();
    this.#listenToKeys();
    new ResizeObserver(() => this.#repaint()).observe(element);
    document.documentElement.addEventListener("themechange", () => this.#repaint());
  }

  /** The scene, including the stroke in progress. */
  get scene() { return this.#stroke ? withStroke(this.#scene, this.#stroke) : this.#scene; }
  get isDrawing() { return this.#stroke !== null; }

  /** Show another scene, on a surface of the same or another form; a stroke in progress is dropped. */
  show(scene, form = this.#form) {
    this.#scene = scene;
    this.#form = form;
    this.#stroke = this.#pointer = null;
    this.#showPen();
    this.#repaint();
  }

  #repaint() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      const { clientWidth, clientHeight } = this.#element;
      const [width, height] = [clientWidth, clientHeight].map((side) => Math.round(side * devicePixelRatio));
      if (this.#canvas.width !== width) this.#canvas.width = width;
      if (this.#canvas.height !== height) this.#canvas.height = height;
      const style = getComputedStyle(this.#element);
      const colours = { ink: style.color, paper: style.backgroundColor };
      paint(this.#canvas, this.scene, whole(this.#form.aspect), colours);
    });
  }

  #begin(point, pointer) {
    this.#stroke = [point];
    this.#pointer = pointer;
    this.#changed();
  }

  #extend(point) {
    const last = this.#stroke.at(-1);
    if (Math.hypot(point.x - last.x, point.y - last.y) < NEAREST) return;
    this.#stroke.push(point);
    this.#changed();
  }

  #end() {
    const stroke = this.#stroke;
    this.#stroke = this.#pointer = null;
    this.dispatchEvent(new CustomEvent("strokeend", { detail: stroke }));
  }

  #changed() {
    this.#repaint();
    this.dispatchEvent(new Event("stroke"));
  }

  #listenToPointers() {
    const element = this.#element;
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !event.isPrimary || this.#pointer !== null) return;
      if (this.#stroke) this.#liftPen();
      this.#pen.hidden = true;
      element.setPointerCapture(event.pointerId);
      this.#begin(this.#pointOf(event), event.pointerId);
    });
    element.addEventListener("pointermove", (event) => {
      if (event.pointerId !== this.#pointer) return;
      const events = event.getCoalescedEvents?.() ?? [];
      for (const each of events.length ? events : [event]) this.#extend(this.#pointOf(each));
    });
    // Otherwise browsers take a quick stroke for a fling and ignore the next tap, or open a magnifier.
    element.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    for (const type of ["pointerup", "pointercancel"]) {
      element.addEventListener(type, (event) => { if (event.pointerId === this.#pointer) this.#end(); });
    }
  }

  #pointOf(event) {
    const box = this.#canvas.getBoundingClientRect();
    const pressure = event.pointerType === "pen" ? 0.5 + event.pressure : 1; // others report 0.5 or nothing
    return {
      x: (event.clientX - box.left) / box.height,
      y: (event.clientY - box.top) / box.height,
      width: this.#form.pen * pressure,
    };
  }

  #listenToKeys() {
    const element = this.#element;
    element.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || this.#pointer !== null) return;
      if (event.key in ARROWS) this.#move(event.key);
      else if (event.key === " ") this.#togglePen(event.repeat);
      else return;
      event.preventDefault();
    });
    element.addEventListener("keyup", (event) => this.#held.delete(event.key));
    element.addEventListener("blur", () => {
      this.#held.clear();
      this.#liftPen();
      this.#pen.hidden = true;
    });
  }

  /** Two arrow keys together move the pen diagonally. */
  #move(key) {
    this.#held.add(key);
    const { x, y } = this.#at;
    const [right, down] = [...this.#held].map((each) => ARROWS[each]).reduce(([a, b], [c, d]) => [a + c, b + d]);
    const inside = (value, most) => Math.min(most, Math.max(0, value));
    this.#at = { x: inside(x + right * STEP, this.#form.aspect), y: inside(y + down * STEP, 1) };
    if (this.#stroke) this.#extend(this.#penPoint);
    this.#pen.hidden = false;
    this.#showPen();
  }

  #togglePen(isRepeat) {
    if (isRepeat) return;
    this.#pen.hidden = false;
    if (this.#stroke) this.#liftPen();
    else this.#lowerPen();
  }

  #lowerPen() {
    this.#begin(this.#penPoint, null);
    this.#tellPen();
  }

  #liftPen() {
    if (!this.#stroke || this.#pointer !== null) return;
    this.#end();
    this.#tellPen();
  }

  #tellPen() {
    this.#showPen();
    this.dispatchEvent(new CustomEvent("pen", { detail: this.isDrawing }));
  }

  get #penPoint() { return { ...this.#at, width: this.#form.pen }; }

  #showPen() {
    this.#pen.style.left = `${(this.#at.x / this.#form.aspect) * 100}%`;
    this.#pen.style.top = `${this.#at.y * 100}%`;
    this.#pen.classList.toggle("down", this.isDrawing);
  }
}
