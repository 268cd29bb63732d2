// Makes the controls with which a host runs a job. The submitter has sent some of them.
// The host adds listeners, which send the job's reports and output to the submitter.
import type { Jobserver } from '../jobserver.js';
import { bytesOf, encode } from '../wire/value.js';
import type { JobControls } from '../job/job-controls.js';
import { type SentControls, hostControls } from './controls.js';
import type { CallEnvelope } from './envelope.js';
import type { RunningHostedJob } from './hosted-job.js';

const mostHandles = 64;

/** The handles of the Jobserver of a host. */
export class HostedHandles {
  readonly #jobserver: Jobserver;
  readonly #root: string;
  /** Those without listeners, by what was sent: most jobs have the same controls. */
  readonly #shared = new Map<string, Jobserver>();

  constructor(jobserver: Jobserver, root: string) {
    this.#jobserver = jobserver;
    this.#root = root;
  }

  of(hosted: RunningHostedJob, { controls }: CallEnvelope): Jobserver {
    if (controls.isHeard || controls.listens !== undefined) {
      return this.#jobserver.with(this.#withListeners(hosted, controls));
    }
    const key = bytesOf(encode(controls, 'controls')).toString('latin1');
    let handle = this.#shared.get(key);
    if (handle === undefined) {
      handle = this.#jobserver.with(hostControls(controls, this.#root));
      if (this.#shared.size >= mostHandles) this.#shared.clear();
      this.#shared.set(key, handle);
    }
    return handle;
  }

  #withListeners(
    hosted: RunningHostedJob,
    controls: SentControls,
  ): JobControls {
    const { isHeard, listens } = controls;
    const listen = (data: unknown, stream: 'stdout' | 'stderr'): unknown =>
      hosted.tell('output', data, stream);
    return {
      ...hostControls(controls, this.#root),
      ...(isHeard && {
        onReport: (value: unknown) => void hosted.tell('report', value),
      }),
      ...(listens === 'chunks' && { output: listen }),
      ...(listens === 'lines' && { output: { lines: listen } }),
    };
  }
}
