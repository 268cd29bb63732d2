// What users say about a cluster, and how it is checked.
import { realpathSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  codedError,
  invalidArgument,
  invalidValue,
  outOfRange,
} from '../errors.js';
import { isUrl } from '../functions/url.js';
import type { EnvAdditions } from '../protocol/environment.js';
import type { OptionNames } from '../system/options.js';
import type { RedisOptions } from './packages.js';
import type { ValueStore } from './value-store.js';

/** Options of the package ioredis, such as `{ host, port, tls }`. */
export type RedisSettings = RedisOptions;

/** What {@link ClusterExecutor} and {@link ClusterHost} have to agree on. */
export interface ClusterOptions {
  /**
   * The server, as a URL ('redis://…', or 'rediss://…' with TLS) or as options of
   * ioredis. In a job of a cluster, the default is that of its host; elsewhere there
   * is none.
   */
  connection?: string | RedisSettings | undefined;
  /** The name of the queue, without ':'. Default 'jobserver'. */
  queue?: string | undefined;
  /**
   * The folder that functions are named relative to: a job calls the function of the
   * same file in the `root` of its host. Default: the working directory.
   */
  root?: string | URL | undefined;
  /**
   * A part of the name of the queue, without ':', so that jobs only run on hosts of
   * the same version. The commit is a good one. Default: none.
   */
  version?: string | undefined;
  /**
   * A secret of at least 16 characters that executors and hosts share. A host runs only
   * jobs that were signed with it. Default: JOBSERVER_KEY. Without a key, whoever can
   * write to the server can run code on hosts.
   */
  key?: string | undefined;
  /**
   * Milliseconds after which a host that has not been heard of is taken for dead:
   * 100 or more. Default 15000.
   */
  leaseMs?: number | undefined;
  /** Where large values are kept. Default: in Redis. */
  store?: ValueStore | undefined;
  /**
   * Bytes up to which arguments and results are a part of the job, and not kept in
   * the store: 0 or more. Default 16384.
   */
  inlineBytes?: number | undefined;
}

/**
 * Options of {@link ClusterExecutor | new ClusterExecutor()}.
 *
 * @example
 * ```js
 * const executor = new ClusterExecutor({
 *   connection: 'redis://127.0.0.1',
 *   retries: 1,
 * });
 * ```
 */
export interface ClusterExecutorOptions extends ClusterOptions {
  /** Environment variables of the jobs, in addition to those of their host. */
  env?: EnvAdditions | undefined;
  /** How often a lost job is started again: 0 or more, or Infinity. Default 0. */
  retries?: number | undefined;
  /**
   * Whether jobs go on when the process that has submitted them dies. Default false:
   * they are cancelled, at most three leases later.
   */
  detached?: boolean | undefined;
}

/** The names of the options that both have. */
export const clusterOptions: OptionNames<ClusterOptions> = {
  connection: true,
  queue: true,
  root: true,
  version: true,
  key: true,
  leaseMs: true,
  store: true,
  inlineBytes: true,
};

/** Checked options. All but the store are plain data. */
export interface ClusterSettings {
  readonly connection: string | RedisSettings;
  /** With the version. */
  readonly queue: string;
  /** An absolute path without symbolic links. */
  readonly root: string;
  readonly key: string | undefined;
  readonly leaseMs: number;
  readonly inlineBytes: number;
  readonly store: ValueStore | undefined;
}

/** `inherited`: those of the host, in a job of a cluster. */
export function settingsOf(
  options: ClusterOptions,
  inherited?: ClusterSettings,
): ClusterSettings {
  const { version, queue } = options;
  return {
    connection: connectionOf(options.connection ?? inherited?.connection),
    queue:
      queue === undefined && version === undefined && inherited !== undefined
        ? inherited.queue
        : queueOf(queue, version),
    root:
      options.root === undefined && inherited !== undefined
        ? inherited.root
        : rootOf(options.root),
    key: keyOf(options.key ?? inherited?.key ?? process.env['JOBSERVER_KEY']),
    leaseMs: leaseOf(options.leaseMs ?? inherited?.leaseMs ?? 15_000),
    inlineBytes: inlineOf(
      options.inlineBytes ?? inherited?.inlineBytes ?? 16_384,
    ),
    store: storeOf(options.store ?? inherited?.store),
  };
}

function connectionOf(given: unknown): string | RedisSettings {
  if (typeof given === 'string') {
    if (/^rediss?:\/\//.test(given) && URL.canParse(given)) return given;
    // The URL may have a password.
    throw codedError(
      'ERR_JOBSERVER_CLUSTER',
      'Expected `connection` to be a URL with the scheme redis: or rediss:',
    );
  }
  if (typeof given === 'object' && given !== null) return given;
  throw invalidArgument(
    'connection',
    'a URL such as redis://127.0.0.1, or options of ioredis',
    given,
  );
}

function queueOf(queue: unknown = 'jobserver', version: unknown): string {
  const name = checkName(queue, 'queue');
  return version === undefined
    ? name
    : `${name}@${checkName(version, 'version')}`;
}

function checkName(given: unknown, name: string): string {
  const expected = 'a string of letters, digits and any of . _ + - @ /';
  if (typeof given !== 'string') throw invalidArgument(name, expected, given);
  if (/^[\w.+@/-]{1,200}$/.test(given)) return given;
  throw invalidValue(name, expected, given);
}

function rootOf(given: unknown): string {
  const path = isUrl(given) ? fileURLToPath(given.href) : given;
  if (path !== undefined && typeof path !== 'string') {
    throw invalidArgument('root', 'a path or a file: URL', given);
  }
  const absolute =
    path !== undefined && isAbsolute(path) ? path : resolve(path ?? '.');
  try {
    return realpathSync(absolute);
  } catch (cause) {
    throw codedError(
      'ERR_JOBSERVER_CLUSTER',
      `Expected \`root\` to be a folder, but there is no ${absolute}`,
      { cause },
    );
  }
}

function keyOf(given: unknown): string | undefined {
  if (given === undefined || given === '') return undefined;
  const expected = 'a string of at least 16 characters';
  if (typeof given === 'string' && given.length >= 16) return given;
  // Its value is no part of the message.
  throw invalidArgument(
    'key',
    expected,
    typeof given === 'string' ? {} : given,
  );
}

function leaseOf(given: unknown): number {
  const expected = 'a number of milliseconds, 100 or more';
  if (typeof given !== 'number') {
    throw invalidArgument('leaseMs', expected, given);
  }
  if (Number.isFinite(given) && given >= 100) return Math.round(given);
  throw outOfRange('leaseMs', expected, given);
}

function inlineOf(given: unknown): number {
  const expected = 'a number of bytes, 0 or more';
  if (typeof given !== 'number') {
    throw invalidArgument('inlineBytes', expected, given);
  }
  if (Number.isFinite(given) && given >= 0) return given;
  throw outOfRange('inlineBytes', expected, given);
}

function storeOf(given: unknown): ValueStore | undefined {
  if (given === undefined) return undefined;
  const { put, get, drop } = (given ?? {}) as Partial<ValueStore>;
  if ([put, get, drop].every((each) => typeof each === 'function')) {
    return given as ValueStore;
  }
  throw invalidArgument(
    'store',
    'an object with the functions put, get and drop',
    given,
  );
}
