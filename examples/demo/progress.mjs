// Tells how far the work has come: a bar on a terminal, otherwise a line for
// about every tenth.
import cliProgress from 'cli-progress';

export class Progress {
  #label;
  #total;
  #seen = 0;
  #tenths = 0;
  #bar;

  constructor(label, total) {
    this.#label = label;
    this.#total = Math.max(total, 1);
    if (!process.stdout.isTTY) return;
    this.#bar = new cliProgress.SingleBar({
      stream: process.stdout,
      format: '{label} [{bar}] {percentage} % | {duration_formatted}',
      // The terminal is left as it is, so that Ctrl-C has nothing to restore.
      hideCursor: false,
      linewrap: true,
      gracefulExit: false,
    });
    this.#bar.start(this.#total, 0, { label });
  }

  add(amount) {
    this.#seen += amount;
    if (this.#bar !== undefined) {
      this.#bar.update(this.#seen);
      return;
    }
    const tenths = Math.floor((10 * this.#seen) / this.#total);
    if (tenths === this.#tenths) return;
    this.#tenths = tenths;
    console.log(`${this.#label} ${String(10 * tenths).padStart(3)} %`);
  }

  stop() {
    this.#bar?.stop();
  }
}
