// Questions that outrun their answers: one is under way, and of those that come meanwhile only the newest is asked.

const LEAST = 60; // ms between two questions; the eye follows no faster

export class Newest {
  #work; #done; #failed;
  #waiting = null; // the question to ask next, in an array of one
  #abort = new AbortController(); // of all that was asked since `forget`
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

  /** Ask once more, unless something newer waits. */
  again(question) {
    if (!this.#waiting) this.ask(question);
  }

  /** Drop what waits and what is under way: its answer, even if it comes, is never shown. */
  forget() {
    this.#waiting = null;
    this.#abort.abort();
    this.#abort = new AbortController();
  }

  /** Ask nothing for some seconds; what is asked meanwhile waits. */
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
      if (this.#waiting) this.#run(); // an error ended the loop; what waits is asked all the same
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
