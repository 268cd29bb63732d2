// What a process that runs several jobs has sent about the job that it runs.
import type { Arrivals } from '../memory/arrivals.js';
import type { Frame } from '../protocol/frame.js';
import type { Message } from '../protocol/messages.js';
import { usageIn } from '../protocol/usage.js';
import { type Report, frameOf } from '../protocol/worker-messages.js';
import type { ProcessUsage } from '../usage.js';
import type { ProcessJob } from './process-job.js';

export class JobAnswer {
  frame: Frame | undefined;
  /** Undefined where it is not measured. */
  usage: ProcessUsage | undefined;
  /** A job of the process runs in the slot of the job. */
  isLender = false;

  add(
    kind: Report['kind'],
    message: Message,
    arrivals: Arrivals,
    job: ProcessJob,
  ): void {
    if (kind === 'lends') this.isLender = true;
    else if (kind === 'usage') this.usage = usageIn(message.bytes);
    else if (kind === 'report') job.onReport(frameOf(kind, message, arrivals));
    else if (kind !== 'none') this.frame ??= frameOf(kind, message, arrivals);
  }

  /** The next job has none yet. */
  clear(): void {
    this.frame = undefined;
    this.usage = undefined;
    this.isLender = false;
  }
}
