// What travels beside the arguments of a job, because it is more than data: slot pipes,
// functions and ends of channels.
import { codedTypeError } from '../errors.js';
import type { FunctionRef } from '../functions/function-ref.js';
import {
  type PortAttachments,
  type SentPort,
  portControl,
} from '../protocol/job-port.js';
import type { SlotPipe } from '../slots/slot-pipe.js';
import { sendable } from '../wire/value.js';
import type { Controls } from './controls.js';

/** What Jobserver handles and ports among the arguments add to an order. */
export interface Attachments extends PortAttachments {
  readonly slotPipes: SlotPipe[];
  readonly imports: FunctionRef[];
}

/** An object that travels as plain data and attachments. */
interface Handle {
  [sendable](attachments: Attachments): unknown;
}

/** For `encode`: turns a handle among the values into plain data. */
export function encodeHandle(
  attachments: Attachments,
): (handle: object) => unknown {
  return (handle) => (handle as Handle)[sendable](attachments);
}

// A request to the forkserver has no room for more fds than this.
const mostPorts = 32;

/** Throws for ports that cannot go with this job. */
export function checkPorts(
  { ports }: Attachments,
  { retries }: Controls,
): void {
  const refuse = (why: string): TypeError =>
    codedTypeError(
      'ERR_JOBSERVER_NOT_SERIALIZABLE',
      `Not serializable: ${why}`,
    );
  if (ports.length > mostPorts) {
    throw refuse(`${ports.length} ports; a job can have at most ${mostPorts}`);
  }
  if (ports.length > 0 && retries > 0) {
    throw refuse(
      'a JobPort, because a job with `retries` may need it again, and it can be ' +
        'passed only once',
    );
  }
}

/** They leave this process. */
export function takePorts({
  ports,
}: Attachments): readonly SentPort[] | undefined {
  return ports.length > 0
    ? ports.map((port) => portControl.detach(port))
    : undefined;
}
