// The controls of a handle: what it adds to each call that is submitted through
// it. They are never changed; a derived handle has controls of its own. A
// handle that is passed to a job travels as its controls and a slot pipe.
import {
  type Context,
  checkContext,
  checkForkable,
  defaultContext,
} from '../context.js';
import { invalidArgument, outOfRange } from '../errors.js';
import { type FunctionRef, nameFunction } from '../functions/function-ref.js';
import { isUrl, parseExportName } from '../functions/url.js';
import type { EnvRevision } from '../protocol/environment.js';
import { workerState } from '../protocol/worker-state.js';
import { type Signal, signalNumber } from '../system/signals.js';
import { decode, encode } from '../wire/value.js';
import {
  type Attachments,
  type Preexec,
  encodeHandle,
  referenceOf,
} from './encode-call.js';
import type { SleepGate } from './submission.js';

export interface Controls {
  readonly context: Context;
  /** URLs of modules. */
  readonly preload: readonly string[];
  /** Milliseconds. */
  readonly forkserverKeepAlive: number;
  /** A signal number; 0: none. */
  readonly orphanSignal: number;
  readonly env: EnvRevision;
  readonly preexec: Preexec | undefined;
  readonly gate: SleepGate;
}

const admitAlways: SleepGate = () => undefined;

export function initialControls(options: {
  readonly context?: Context | undefined;
  readonly orphanSignal?: Signal | null | undefined;
  readonly preload?: Iterable<string | URL> | undefined;
  readonly forkserverKeepAlive?: number | undefined;
}): Controls {
  const { orphanSignal = 'SIGTERM', preload } = options;
  const { ambient } = workerState;
  const context = checkContext(
    options.context ?? ambient?.context ?? defaultContext,
  );
  if (context === 'fork') checkForkable(workerState.isForked);
  return {
    context,
    preload:
      preload === undefined ? (ambient?.preload ?? []) : moduleUrls(preload),
    forkserverKeepAlive: checkKeepAlive(options.forkserverKeepAlive),
    orphanSignal:
      orphanSignal === null ? 0 : signalNumber(orphanSignal, 'orphanSignal'),
    env: new Map(),
    preexec: undefined,
    gate: admitAlways,
  };
}

const defaultKeepAliveMs = 5000;

function checkKeepAlive(ms: unknown = defaultKeepAliveMs): number {
  const name = 'forkserverKeepAlive';
  if (typeof ms !== 'number') {
    throw invalidArgument(name, 'a number of milliseconds', ms);
  }
  if (!(ms >= 0)) throw outOfRange(name, 'non-negative', ms);
  return ms;
}

function moduleUrls(preload: unknown): string[] {
  const expected = 'an iterable of module URLs, paths or names';
  if (
    typeof preload !== 'object' ||
    preload === null ||
    !(Symbol.iterator in preload)
  ) {
    throw invalidArgument('preload', expected, preload);
  }
  return [...(preload as Iterable<unknown>)].map((module, i) => {
    if (typeof module === 'string' || isUrl(module)) {
      return parseExportName(module, `preload[${i}]`).url;
    }
    throw invalidArgument(`preload[${i}]`, 'a URL or string', module);
  });
}

/** Controls as plain data. */
export interface SentControls {
  readonly context: Context;
  readonly preload: readonly string[];
  readonly forkserverKeepAlive: number;
  readonly orphanSignal: number;
  readonly env: readonly (readonly [string, string | null])[];
  readonly preexec: FunctionRef | undefined;
  readonly preexecArgs: Uint8Array;
  /** Index of the gate among the imports, -1 for none. */
  readonly gate: number;
  /** Same for preexec in the fork context, which needs the function. */
  readonly localPreexec: number;
}

/** Throws for a gate or preexec that no other process can import. */
export function sendControls(
  controls: Controls,
  attachments: Attachments,
): SentControls {
  const { preexec, gate, env, ...plain } = controls;
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
    localPreexec:
      ref !== undefined && plain.context === 'fork' ? attach(ref) : -1,
  };
}

export function receiveControls(
  sent: SentControls,
  imports: readonly unknown[],
  revive: (data: unknown) => object,
): Controls {
  const args = decode(sent.preexecArgs, revive) as unknown[];
  const local = imports[sent.localPreexec] as Preexec['target'] | undefined;
  return {
    context: sent.context,
    preload: sent.preload,
    forkserverKeepAlive: sent.forkserverKeepAlive,
    orphanSignal: sent.orphanSignal,
    env: new Map(sent.env),
    preexec: sent.preexec && { target: local ?? sent.preexec, args },
    gate: sent.gate < 0 ? admitAlways : (imports[sent.gate] as SleepGate),
  };
}
