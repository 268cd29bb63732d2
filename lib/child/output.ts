// The standard streams of a job. Where they are pipes, process.exit would lose
// what Node still has queued because the pipe was full.
import { writeSync } from 'node:fs';
import { writeAll } from '../system/fd.js';

const used = new Set<'stdout' | 'stderr'>();

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
