// A TCP proxy that can fall silent, as a network does that loses every packet: the
// connections stay open, and nothing comes through.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class Proxy {
  #pairs = new Set();
  #isSilent = false;
  #server;

  static async open(port) {
    const proxy = new Proxy();
    proxy.#server = createServer((near) => proxy.#join(near, port));
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get url() {
    return `redis://127.0.0.1:${this.#server.address().port}`;
  }

  silence() {
    this.#isSilent = true;
    for (const pair of this.#pairs) for (const end of pair) end.pause();
  }

  /** What was sent meanwhile arrives now, as TCP sends again what was lost. */
  heal() {
    this.#isSilent = false;
    for (const pair of this.#pairs) for (const end of pair) end.resume();
  }

  close() {
    for (const pair of this.#pairs) for (const end of pair) end.destroy();
    this.#server.close();
  }

  #join(near, port) {
    const far = connect(port, '127.0.0.1');
    const pair = [near, far];
    this.#pairs.add(pair);
    for (const [from, to] of [pair, [far, near]]) {
      from.on('data', (bytes) => {
        if (!to.destroyed) to.write(bytes);
      });
      from.on('error', () => undefined);
      from.on('close', () => {
        to.destroy();
        this.#pairs.delete(pair);
      });
      if (this.#isSilent) from.pause();
    }
  }
}
