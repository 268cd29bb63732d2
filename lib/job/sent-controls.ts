// A handle that is passed to a job travels as its controls, as plain data, and a
// slot pipe.
import { type FunctionRef, nameFunction } from '../functions/function-ref.js';
import { type Encoded, decode, encode } from '../wire/value.js';
import { type Attachments, encodeHandle } from './attachments.js';
import type { Controls } from './controls.js';
import { type Preexec, referenceOf } from './encode-call.js';
import { type SleepGate, admitAlways } from './submission.js';

/** Controls as plain data. */
export interface SentControls extends Omit<
  Controls,
  'env' | 'preexec' | 'gate' | 'listener' | 'onReport'
> {
  readonly env: readonly (readonly [string, string | null])[];
  readonly preexec: FunctionRef | undefined;
  readonly preexecArgs: Encoded;
  /** Index of the gate among the imports, -1 for none. */
  readonly gate: number;
  /** Same for the listener of the output. */
  readonly listener: number;
  /** Same for preexec in the fork context, which needs the function. */
  readonly localPreexec: number;
}

/** Throws for a function that no other process can import. */
export function sendControls(
  controls: Controls,
  attachments: Attachments,
): SentControls {
  // A listener of reports stays in its process.
  const { preexec, gate, listener, env, onReport: _, ...plain } = controls;
  const { imports } = attachments;
  const ref = preexec && referenceOf(preexec.target, 'preexec');
  const attach = (fn: FunctionRef): number => imports.push(fn) - 1;
  return {
    ...plain,
    env: [...env],
    preexec: ref,
    preexecArgs: encode(
      preexec?.args ?? [],
      'preexec args',
      encodeHandle(attachments),
    ),
    gate:
      gate === admitAlways ? -1 : attach(nameFunction(gate, 'the sleep gate')),
    listener:
      listener === undefined ? -1 : attach(nameFunction(listener, 'output')),
    localPreexec:
      ref !== undefined && plain.context === 'fork' ? attach(ref) : -1,
  };
}

export function receiveControls(
  sent: SentControls,
  imports: readonly unknown[],
  revive: (data: unknown) => object,
): Controls {
  const { env, preexec, preexecArgs, gate, listener, localPreexec, ...plain } =
    sent;
  const args = decode(preexecArgs, revive) as unknown[];
  const local = imports[localPreexec] as Preexec['target'] | undefined;
  return {
    ...plain,
    onReport: undefined,
    env: new Map(env),
    preexec: preexec && { target: local ?? preexec, args },
    gate: gate < 0 ? admitAlways : (imports[gate] as SleepGate),
    listener: imports[listener] as Controls['listener'],
  };
}
