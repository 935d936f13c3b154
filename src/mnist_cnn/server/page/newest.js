// Questions that come faster than answers: one is in progress, and only the newest of the others is asked next.

const LEAST = 60; // ms between two questions; the eye is not faster

export class Newest {
  #work; #done; #failed;
  #waiting = null; // the question to ask next, in an array of one
  #abort = new AbortController(); // of all questions since `forget`
  #running = false;
  #notBefore = 0; // ms of performance.now()
  #wake = () => {};

  /**
   * @param {(question: any, signal: AbortSignal) => Promise<any>} work
   * @param {(answer: any, question: any) => void} done
   * @param {(error: Error, question: any) => void} failed
   */
  constructor(work, done, failed) {
    this.#work = work;
    this.#done = done;
    this.#failed = failed;
  }

  ask(question) {
    this.#waiting = [question];
    this.#run();
  }

  /** Ask again, unless a newer question is waiting. */
  again(question) {
    if (!this.#waiting) this.ask(question);
  }

  /** Drop all questions; their answers are never shown. */
  forget() {
    this.#waiting = null;
    this.#abort.abort();
    this.#abort = new AbortController();
  }

  /** Let all questions wait for some seconds. */
  hold(seconds) { this.#notBefore = performance.now() + seconds * 1000; }

  release() {
    this.#notBefore = 0;
    this.#wake();
  }

  async #run() {
    if (this.#running) return;
    this.#running = true;
    try {
      while (this.#waiting) {
        await this.#untilAllowed();
        if (this.#waiting) await this.#askWaiting();
      }
    } finally {
      this.#running = false;
    }
  }

  async #untilAllowed() {
    for (;;) {
      const wait = this.#notBefore - performance.now();
      if (wait <= 0) return;
      await new Promise((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, wait);
      });
    }
  }

  async #askWaiting() {
    const [question] = this.#waiting;
    const { signal } = this.#abort;
    this.#waiting = null;
    this.#notBefore = performance.now() + LEAST;
    await this.#work(question, signal).then(
      (answer) => { if (!signal.aborted) this.#done(answer, question); },
      (error) => { if (!signal.aborted) this.#failed(error, question); },
    );
  }
}
