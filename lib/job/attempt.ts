// Starts the process of one attempt at a job.
import type { Worker } from '../launch/launcher.js';
import { launchers } from '../launch/launchers.js';
import type { JobStreams } from '../output/job-streams.js';
import { prepareReader } from '../protocol/frame-reader.js';
import type { Order } from '../protocol/order.js';
import type { Token } from '../slots/token.js';
import { type Fd, openSocketPair } from '../system/fd.js';
import { selector } from '../system/selector.js';

export interface Attempt {
  readonly worker: Worker;
  /** Of the result socket, which the selector watches. */
  readonly reader: Fd;
}

/**
 * Borrows the token. Throws when nothing was started. `onReady`: called when the
 * result socket can be read.
 */
export function startAttempt(
  order: Order,
  token: Token,
  streams: JobStreams | undefined,
  onReady: () => void,
): Attempt {
  const { reader, writer } = openSocketPair('the result socket');
  try {
    prepareReader(reader.number);
    // Before the launch, because nothing may fail after it.
    selector.add(reader.number, onReady);
    token.bindTo(reader.number, order.orphanSignal);
    const launcher = launchers[order.context];
    const stdio = streams?.open();
    const worker = launcher.launch(order, writer.number, token, stdio);
    streams?.closeEnds();
    return { worker, reader };
  } catch (error) {
    streams?.abandon();
    selector.remove(reader.number);
    reader.close();
    throw error;
  } finally {
    writer.close();
  }
}
