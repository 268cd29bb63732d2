// The controls of a job that a host runs: those that its submitter has sent, and
// listeners, which send the reports and the output of the job to the submitter.
import type { JobControls } from '../job/job-controls.js';
import { hostControls } from './controls.js';
import type { CallEnvelope } from './envelope.js';
import type { RunningHostedJob } from './hosted-job.js';

export function controlsOf(
  hosted: RunningHostedJob,
  { controls }: CallEnvelope,
  root: string,
): JobControls {
  const { isHeard, listens } = controls;
  const listen = (data: unknown, stream: 'stdout' | 'stderr'): unknown =>
    hosted.tell('output', data, stream);
  return {
    ...hostControls(controls, root),
    ...(isHeard && {
      onReport: (value: unknown) => void hosted.tell('report', value),
    }),
    ...(listens === 'chunks' && { output: listen }),
    ...(listens === 'lines' && { output: { lines: listen } }),
  };
}
