// The optional packages, which take 100 ms to load. Only here, and only when an
// executor or a host is made.
import { codedError } from '../errors.js';

export type { Job, JobsOptions, Queue, Worker } from 'bullmq';
export type { Redis, RedisOptions } from 'ioredis';

export function bullmq(): typeof import('bullmq') {
  return loaded(() => require('bullmq') as typeof import('bullmq'));
}

export function ioredis(): typeof import('ioredis') {
  return loaded(() => require('ioredis') as typeof import('ioredis'));
}

function loaded<T>(load: () => T): T {
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
