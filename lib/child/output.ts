// What a job has written to its standard streams and no reader has taken yet:
// process.exit would cut it off where they are pipes.
import { writeSync } from 'node:fs';
import { writeAll } from '../protocol/frame.js';

const used = new Set<'stdout' | 'stderr'>();

/** Notes which streams are used: to make one costs as much as a small job. */
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
 * From now on each write is done when it returns, for a process without an event
 * loop: the streams would queue what a full pipe does not take.
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

/** For a process that ends right after: at once, or not at all. */
export function writeLastWords(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // The pipe is full or has no reader, and nothing may keep it from ending.
  }
}

/** Resolves when everything is written, or nobody is left to read it. */
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
