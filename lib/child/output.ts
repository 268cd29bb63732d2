// The standard streams of a job. Where they are pipes, process.exit would lose
// what Node still has queued because the pipe was full.
import { writeSync } from 'node:fs';
import { Writable, type WritableOptions } from 'node:stream';
import type { Stdio } from '../output/plan.js';
import { check, native, systemError } from '../system/binding.js';
import { writeAll } from '../system/fd.js';

const used = new Set<'stdout' | 'stderr'>();

// A preloaded module may put another one in its place, which writes elsewhere.
const ownConsole = console as unknown as Record<string, unknown>;

/** Records which streams the job uses, because creating one is slow. */
export function noteOutput(): void {
  for (const name of ['stdout', 'stderr'] as const) {
    const property = Object.getOwnPropertyDescriptor(process, name);
    if (property?.get === undefined) continue;
    Object.defineProperty(process, name, {
      ...property,
      get: () => {
        used.add(name);
        return property.get!.call(process) as unknown;
      },
    });
  }
}

/** In a fork of the submitter: replaces its standard streams. Borrows the fds. */
export function enterStreams({ input, stdout, stderr }: Stdio): void {
  if (input !== undefined) check(native.dup2(input, 0), 'enter the input');
  if (stdout === 1) return;
  enterOutput(stdout, stderr);
  for (const stream of [process.stdout, process.stderr]) {
    Object.defineProperty(stream, 'isTTY', {
      value: undefined,
      configurable: true,
      writable: true,
    });
  }
}

/** Borrows the fds. */
export function enterOutput(stdout: number, stderr: number): void {
  check(native.dup2(stdout, 1), 'enter the standard output');
  check(native.dup2(stderr, 2), 'enter the standard error');
}

/**
 * Replaces the streams that a zygote has made before its fork, for other files than this
 * process has now. Each is made when it is used.
 */
export function renewStreams(): void {
  const names = [...used];
  used.clear();
  for (const name of names) {
    const fd = name === 'stdout' ? 1 : 2;
    let stream: Writable | undefined;
    Object.defineProperty(process, name, {
      get: () => {
        used.add(name);
        stream ??= Object.assign(new Writable({ write: writeTo(fd) }), { fd });
        return stream;
      },
      configurable: true,
      enumerable: true,
    });
    // The console keeps the stream that it has found. Without one, it looks again.
    ownConsole[`_${name}`] = undefined;
  }
}

function writeTo(fd: number): WritableOptions['write'] {
  return (chunk: Buffer, _encoding, done) => {
    const result = writeAll(fd, chunk);
    done(result < 0 ? systemError(result, 'write') : null);
  };
}

/**
 * Makes each write complete before it returns. A process without an event loop
 * needs that: the streams would queue what does not fit into a full pipe.
 */
export function writeThrough(): void {
  for (const [stream, fd] of [
    [process.stdout, 1],
    [process.stderr, 2],
  ] as const) {
    const write = (chunk: string | Uint8Array, encoding?: unknown): boolean => {
      const coding = typeof encoding === 'string' ? encoding : 'utf8';
      writeAll(fd, Buffer.from(chunk as string, coding as BufferEncoding));
      return true;
    };
    Object.defineProperty(stream, 'write', {
      value: write,
      configurable: true,
      writable: true,
    });
  }
}

/** For a process that is about to end: writes without waiting, or gives up. */
export function writeLastWords(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // The pipe is full or has no reader; the process must end in any case.
  }
}

/** Whether `flushOutput` has to wait. */
export function hasOutput(): boolean {
  for (const name of used) if (process[name].writableLength > 0) return true;
  return false;
}

/** Resolves when everything is written, or when a stream has no reader left. */
export async function flushOutput(): Promise<void> {
  for (const name of used) {
    const stream = process[name];
    if (stream.writableLength === 0 || stream.destroyed) continue;
    await new Promise<void>((resolve) => {
      stream.once('error', resolve);
      stream.once('close', resolve);
      stream.write('', () => {
        resolve();
      });
    });
  }
}
