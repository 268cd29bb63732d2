// Makes the controls with which a host runs a job. The submitter has sent some of them.
// The host adds listeners, which send the job's reports and output to the submitter.
import type { Jobserver } from '../jobserver.js';
import { bytesOf, encode } from '../wire/value.js';
import type { JobControls } from '../job/job-controls.js';
import { type SentControls, hostControls } from './controls.js';
import type { CallEnvelope } from './envelope.js';
import { refused } from './errors.js';
import type { RunningHostedJob } from './hosted-job.js';
import type { ClusterSettings } from './options.js';

const mostHandles = 64;

/** The handles of the Jobserver of a host. */
export class HostedHandles {
  readonly #jobserver: Jobserver;
  readonly #root: string;
  readonly #hasKey: boolean;
  /** Those without listeners, by what was sent: most jobs have the same controls. */
  readonly #shared = new Map<string, Jobserver>();

  constructor(
    jobserver: Jobserver,
    { root, key }: Pick<ClusterSettings, 'root' | 'key'>,
  ) {
    this.#jobserver = jobserver;
    this.#root = root;
    this.#hasKey = key !== undefined;
  }

  /** Throws for what the host does not let the job have. */
  of(hosted: RunningHostedJob, { controls }: CallEnvelope): Jobserver {
    if (!this.#hasKey) refuseCode(controls);
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

// What makes a process run other code than its function: Node, the dynamic linker and
// OpenSSL load files that these name.
const codeNames = /^(NODE_(?!ENV$)|LD_|DYLD_|OPENSSL_)/;

/** Without a `key`, anybody who can write to the server can send it. */
function refuseCode({ given, env }: SentControls): void {
  // Its options may restrict its jobs, such as --disable-proto.
  if (given['inheritExecArgv'] === false) {
    throw refused(
      'A host without a `key` takes no inheritExecArgv from a job, because jobs ' +
        'could leave restrictions of their host behind',
    );
  }
  const name =
    given['execArgv'] === undefined
      ? env.find(([key]) => codeNames.test(key))?.[0]
      : 'execArgv';
  if (name === undefined) return;
  throw refused(
    `A host without a \`key\` takes no ${name} from a job, because it can name ` +
      'other code than functions in `root`',
  );
}
