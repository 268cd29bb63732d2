// Shows the progress of the work: a bar on a terminal, and otherwise a line for
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
      // These leave the terminal unchanged, so that Ctrl-C needs to restore
      // nothing.
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
