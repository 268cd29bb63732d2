// What BullMQ has for taking jobs one by one.
import type { Connection } from './connection.js';
import { type Worker, bullmq } from './packages.js';

/** `name`: what the jobs say about who has run them. */
export function openWorker(connection: Connection, name: string): Worker {
  const { Worker: WorkerClass, MetricsTime } = bullmq();
  const { queue, leaseMs } = connection.settings;
  return new WorkerClass(queue, null, {
    connection: connection.redis,
    ...connection.queueOptions,
    name,
    lockDuration: leaseMs,
    autorun: false,
    metrics: { maxDataPoints: MetricsTime.ONE_HOUR },
  });
}
