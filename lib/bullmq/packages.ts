// The optional packages, which take 100 ms to load. Only here, and only when an
// executor or a host is made.
import { codedError } from '../errors.js';
import { isOlder } from '../system/version.js';

export type { Job, JobJson, JobsOptions, Queue, Worker } from 'bullmq';
export type { Redis, RedisOptions } from 'ioredis';

export function bullmq(): typeof import('bullmq') {
  return loaded('bullmq', '6.7', () => {
    const { version } = require('bullmq/package.json') as Package;
    return [require('bullmq') as typeof import('bullmq'), version];
  });
}

export function ioredis(): typeof import('ioredis') {
  return loaded('ioredis', '5.0', () => {
    const { version } = require('ioredis/package.json') as Package;
    return [require('ioredis') as typeof import('ioredis'), version];
  });
}

interface Package {
  readonly version: string;
}

/** `least`: the oldest version that will do. */
function loaded<T>(
  name: string,
  least: string,
  load: () => [module: T, version: string],
): T {
  const [module, version] = installed(load);
  if (!isOlder(version, least)) return module;
  throw codedError(
    'ERR_JOBSERVER_CLUSTER',
    `jobserver/bullmq needs ${name} ${least} or later, and has found ${version}`,
  );
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
