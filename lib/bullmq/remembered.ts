/** The last ids that were added. */
export class Remembered {
  readonly #ids = new Set<string>();

  add(id: string): void {
    this.#ids.add(id);
    if (this.#ids.size <= mostIds) return;
    const [oldest] = this.#ids;
    this.#ids.delete(oldest!);
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }
}

const mostIds = 10_000;
