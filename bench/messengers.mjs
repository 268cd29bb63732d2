// What the jobs and the thread of report.mjs run.
import { isMainThread, workerData } from 'node:worker_threads';
import { report } from 'jobserver';

export function reportMany(count, value) {
  for (let i = 0; i < count; i++) report(value ?? i);
}

export function answer(port) {
  return new Promise((resolve) => {
    port.on('message', (value) => port.postMessage(value));
    port.on('close', resolve);
  });
}

if (!isMainThread) {
  workerData.on('message', (value) => workerData.postMessage(value));
}
