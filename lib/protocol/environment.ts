// The environment of a job: the environment of its submitter with revisions;
// and its working directory.
import { invalidArgument, invalidValue } from '../errors.js';
import { native } from '../system/binding.js';

/** A string sets a variable, null unsets it. */
export type EnvRevision = ReadonlyMap<string, string | null>;

/**
 * Variables by name, as an object or as [name, value] pairs; null unsets a
 * variable. See {@link Jobserver.reviseEnv}.
 */
export type EnvAdditions =
  | Readonly<Record<string, string | null>>
  | Iterable<readonly [string, string | null]>;

/** `revision` with the user's additions merged in. Checks each addition. */
export function revise(revision: EnvRevision, additions: unknown): EnvRevision {
  if (typeof additions !== 'object' || additions === null) {
    const expected = 'an object, or an iterable of [name, value] pairs';
    throw invalidArgument('additions', expected, additions);
  }
  const pairs =
    Symbol.iterator in additions
      ? (additions as Iterable<unknown>)
      : Object.entries(additions);
  const revised = new Map(revision);
  for (const pair of pairs) {
    if (!Array.isArray(pair) || pair.length !== 2) {
      throw invalidArgument('additions', 'made of [name, value] pairs', pair);
    }
    const [name, value] = pair as [unknown, unknown];
    revised.set(checkName(name), checkValue(name as string, value));
  }
  return revised;
}

function checkName(name: unknown): string {
  const expected = 'the name of an environment variable';
  if (typeof name !== 'string') {
    throw invalidArgument('additions', `keyed by ${expected}`, name);
  }
  if (name === '' || /[=\0]/.test(name)) {
    throw invalidValue(
      'additions',
      `keyed by ${expected}, without = or NUL`,
      name,
    );
  }
  return name;
}

function checkValue(name: string, value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value !== 'string') {
    throw invalidArgument(`additions.${name}`, 'a string or null', value);
  }
  if (value.includes('\0')) {
    throw invalidValue(`additions.${name}`, 'free of NUL', value);
  }
  return value;
}

/** '' when it has been removed. */
export function workingDirectory(): string {
  try {
    return process.cwd();
  } catch {
    return '';
  }
}

/** `NAME=value` strings for a job that is submitted now. */
export function environmentOfJob(revision: EnvRevision): readonly string[] {
  const list: string[] = [];
  // Object.entries would query each key a second time.
  for (const name of Object.getOwnPropertyNames(process.env)) {
    if (!revision.has(name)) list.push(`${name}=${process.env[name]}`);
  }
  for (const [name, value] of revision) {
    if (value !== null) list.push(`${name}=${value}`);
  }
  return shareLatest(list);
}

const latestLists = new WeakMap<
  EnvRevision,
  { readonly stamp: number; readonly list: readonly string[] }
>();

/**
 * Does the same as `environmentOfJob`, but sooner: it lists the variables only
 * when one has changed. Not while a thread with SHARE_ENV changes them, because
 * it compares them without the lock of Node.
 */
export function environmentOfNextJob(revision: EnvRevision): readonly string[] {
  if (!isEnvironmentOfProcess()) return environmentOfJob(revision);
  const stamp = native.environmentStamp();
  const known = latestLists.get(revision);
  if (known?.stamp === stamp) return known.list;
  const list = environmentOfJob(revision);
  latestLists.set(revision, { stamp, list });
  return list;
}

let tried: { readonly env: unknown; readonly isOfProcess: boolean } | undefined;

/** False where process.env is another object, as in the tests of Jest. */
function isEnvironmentOfProcess(): boolean {
  const { env } = process;
  if (tried?.env !== env) {
    tried = { env, isOfProcess: native.isMainThread && refusesGetters(env) };
  }
  return tried.isOfProcess;
}

// Only the object that Node makes for the environment does so.
function refusesGetters(env: NodeJS.ProcessEnv): boolean {
  const name = 'jobserver getter';
  try {
    Object.defineProperty(env, name, { get: () => '', configurable: true });
  } catch {
    return true;
  }
  delete env[name];
  return false;
}

// Thousands of waiting jobs mostly have equal environments and share one list.
let latest: readonly string[] = [];

function shareLatest(list: readonly string[]): readonly string[] {
  const isSame =
    list.length === latest.length && list.every((v, i) => v === latest[i]);
  if (!isSame) latest = list;
  return latest;
}

// Node, its libraries and the dynamic linker read them once, when a process
// starts, so a fork cannot follow a change of them.
const startup =
  /^(NODE_(COMPILE_CACHE|DEBUG|DEBUG_NATIVE|EXTRA_CA_CERTS|ICU_DATA|NO_WARNINGS|OPTIONS|PATH|PENDING_DEPRECATION|PRESERVE_SYMLINKS|REDIRECT_WARNINGS|USE_ENV_PROXY|USE_SYSTEM_CA|V8_COVERAGE)|OPENSSL_CONF|GLIBC_TUNABLES|LD_\w+|MALLOC_\w+)=/;

const startupVariables = new WeakMap<readonly string[], readonly string[]>();

/** Those of `env` that take effect only in a process that starts with them. */
export function startupVariablesOf(env: readonly string[]): readonly string[] {
  let found = startupVariables.get(env);
  if (found === undefined) {
    found = env.filter((variable) => startup.test(variable)).sort();
    startupVariables.set(env, found);
  }
  return found;
}

/** This environment, but with the startup variables of `env`. */
export function environmentToStart(env: readonly string[]): readonly string[] {
  const own = environmentOfJob(new Map());
  const others = own.filter((variable) => !startup.test(variable));
  return [...others, ...startupVariablesOf(env)];
}
