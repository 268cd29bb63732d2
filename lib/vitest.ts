// The subpath `jobserver/vitest`.
export type {
  JobserverPool,
  JobserverPoolOptions,
  JobserverPoolWorker,
} from './vitest/pool.js';
export { jobserverPool } from './vitest/pool.js';
