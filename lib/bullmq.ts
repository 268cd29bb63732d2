// The public names of jobserver/bullmq, and nothing else.
import './system/host.js';

export type { ClusterControls } from './bullmq/controls.js';
export type {
  ClusterExecutorOptions,
  ClusterOptions,
  RedisSettings,
} from './bullmq/options.js';
export type { ClusterStatus, HostInfo, QueueCounts } from './bullmq/status.js';
export { clusterStatus } from './bullmq/status.js';
export type { HostedJob, HostObserver } from './bullmq/hosted-job.js';
export type { ClusterHostOptions, HostCloseOptions } from './bullmq/host.js';
export { ClusterHost } from './bullmq/host.js';
export { ClusterExecutor } from './bullmq/executor.js';
export type { ValueStore } from './bullmq/value-store.js';
