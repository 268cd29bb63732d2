// What a process does before its first job. Forked jobs of equal preparation share a
// zygote, which does it for them; a spawned job does it itself, but for the warm-up.
import { fstatSync } from 'node:fs';
import type { FunctionRef } from '../functions/function-ref.js';
import { check, native } from '../system/binding.js';
import { builtin } from '../system/builtins.js';
import { Fd, readAllAt, writeAll } from '../system/fd.js';
import {
  type Encoded,
  bytesOf,
  decode,
  encode,
  isText,
} from '../wire/value.js';

export interface Preparation {
  readonly preload: Preload;
  /** What a zygote runs after that, until it takes no less time. */
  readonly warmUp: WarmUp | undefined;
}

/** The modules that a process imports, in this order. */
export interface Preload {
  readonly urls: readonly string[];
  /** Whether zygotes also import what jobs have used: see launch/learner. */
  readonly isAuto: boolean;
  /** Of such a zygote: `urls`, and after them what jobs have used. */
  readonly learned?: readonly string[] | undefined;
  /** That of another list differs, and so does that of other data. */
  readonly key: string;
  /** The `PreloadedModule`s; made only once, because their data may be large. */
  readonly packed: Encoded;
}

export interface PreloadedModule {
  /** Its URL. */
  readonly module: string;
  /** For its `setUp`, which is not called if there is no such property. */
  readonly data?: unknown;
}

export interface WarmUp {
  readonly fn: FunctionRef;
  /** The URLs of `preload`, and that of the module of `fn`. */
  readonly modules: readonly string[];
  /** Milliseconds. null: Infinity, for which JSON has no number. */
  readonly timeout: number | null;
}

/** Whose code is in the zygote, and in its forks. */
export function modulesOf({ preload, warmUp }: Preparation): readonly string[] {
  return warmUp?.modules ?? preload.learned ?? preload.urls;
}

export const noPreload: Preload = {
  urls: [],
  isAuto: false,
  key: '',
  packed: '',
};

/** The last of the packed modules of a preload that `isAuto`. No URL is like it. */
const auto = 'auto';

export const noPreparation: Preparation = {
  preload: noPreload,
  warmUp: undefined,
};

/** Throws a TypeError for data that cannot be sent. */
export function packPreload(
  modules: readonly PreloadedModule[],
  isAuto: boolean,
): Preload {
  const all = isAuto ? [...modules, { module: auto }] : modules;
  if (all.length === 0) return noPreload;
  return preloadOf(all, encode(all, 'preload'));
}

/** `packed`: that of a `Preload`, as it has arrived. */
export function receivePreload(packed: Buffer): Preload {
  if (packed.length === 0) return noPreload;
  return preloadOf(allIn(packed), packed);
}

/** Each call makes the data anew, because `setUp` may change it. */
export function modulesIn(packed: Encoded): readonly PreloadedModule[] {
  return allIn(packed).filter(({ module }) => module !== auto);
}

function allIn(packed: Encoded): readonly PreloadedModule[] {
  if (packed.length === 0) return [];
  return decode(Buffer.from(bytesOf(packed))) as PreloadedModule[];
}

function preloadOf(all: readonly PreloadedModule[], packed: Encoded): Preload {
  const names = all.map(({ module }) => module);
  return {
    urls: names.filter((name) => name !== auto),
    isAuto: names.includes(auto),
    key: keyOf(packed),
    packed,
  };
}

// A longer key would take memory, and longer to compare.
const mostKeyBytes = 4096;

function keyOf(packed: Encoded): string {
  const bytes = bytesOf(packed);
  if (bytes.length > mostKeyBytes) {
    const { createHash } = builtin('node:crypto');
    return createHash('sha256').update(bytes).digest('base64');
  }
  return bytes.toString(isText(bytes) ? 'utf8' : 'base64');
}

/**
 * For a zygote. In a file, because arguments of a program can be read by other
 * users, and must not be long.
 */
export function writePreparation(preparation: Preparation): Fd {
  const file = new Fd(check(native.anonymousFile(), 'open the preparation'));
  try {
    const bytes = bytesOf(encode(preparation, 'preparation'));
    check(writeAll(file.number, bytes), 'write the preparation');
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Takes over the fd. */
export function readPreparation(fd: number): Preparation {
  const bytes = Buffer.allocUnsafeSlow(fstatSync(fd).size);
  check(readAllAt(fd, bytes, 0), 'read the preparation');
  native.close(fd);
  return decode(bytes) as Preparation;
}
