// A network that can be cut without anybody noticing: nothing is closed, but no byte
// arrives either.
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';

export interface SilentProxy {
  readonly port: number;
  /** `newOnes`: also those that are opened later; the default. */
  cut(options?: { readonly newOnes?: boolean }): void;
  /** What is sent arrives, but no reply does. */
  cutReplies(): void;
  heal(): void;
  /** Closes all connections; new ones are served. */
  drop(): void;
  close(): Promise<void>;
}

export function silentProxy(target: number): Promise<SilentProxy> {
  const sockets = new Set<Socket>();
  const upstreams = new Set<Socket>();
  let isCut = false;
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    upstreams.add(upstream);
    upstream.on('close', () => upstreams.delete(upstream));
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      if (isCut) from.pause();
    }
  });
  const setCut = (cut: boolean): void => {
    isCut = cut;
    for (const socket of sockets) {
      if (cut) socket.pause();
      else socket.resume();
    }
  };
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve({
        port: (server.address() as AddressInfo).port,
        cut: ({ newOnes = true } = {}) => {
          setCut(true);
          isCut = newOnes;
        },
        cutReplies: () => {
          for (const socket of upstreams) socket.pause();
        },
        heal: () => {
          setCut(false);
        },
        drop: () => {
          for (const socket of sockets) socket.destroy();
        },
        close: () =>
          new Promise((done) => {
            for (const socket of sockets) socket.destroy();
            server.close(() => {
              done();
            });
          }),
      });
    });
  });
}
