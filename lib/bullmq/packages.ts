// The optional packages, which take 100 ms to load. Only here, and only when an
// executor or a host is made.
import { codedError } from '../errors.js';

export type { Job, JobsOptions, Queue, Worker } from 'bullmq';
export type { Redis, RedisOptions } from 'ioredis';

export function bullmq(): typeof import('bullmq') {
  return loaded('6.7', () => {
    const { version } = require('bullmq/package.json') as Package;
    return [require('bullmq') as typeof import('bullmq'), version];
  });
}

export function ioredis(): typeof import('ioredis') {
  return loaded('5.0', () => {
    const { version } = require('ioredis/package.json') as Package;
    return [require('ioredis') as typeof import('ioredis'), version];
  });
}

interface Package {
  readonly version: string;
}

/** `least`: the oldest version that will do. */
function loaded<T>(least: string, load: () => [T, version: string]): T {
  const [module, version] = installed(load);
  if (isOlder(version, least)) {
    throw codedError(
      'ERR_JOBSERVER_CLUSTER',
      'jobserver/bullmq needs bullmq 6.7 and ioredis 5 or later, and one of them has ' +
        `the version ${version}: npm install bullmq@6 ioredis`,
    );
  }
  return module;
}

export function isOlder(version: string, least: string): boolean {
  const [major = 0, minor = 0] = version.split('.', 2).map(Number);
  const [leastMajor = 0, leastMinor = 0] = least.split('.').map(Number);
  return major < leastMajor || (major === leastMajor && minor < leastMinor);
}

function installed<T>(load: () => T): T {
  try {
    return load();
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code !== 'MODULE_NOT_FOUND') throw error;
    throw codedError(
      'ERR_JOBSERVER_CLUSTER',
      'jobserver/bullmq needs two packages that are not installed: ' +
        'npm install bullmq ioredis',
      { cause: error },
    );
  }
}
