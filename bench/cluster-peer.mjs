// A worker of BullMQ alone: node cluster-peer.mjs PORT QUEUE inProcess|sandboxed
import { fileURLToPath } from 'node:url';
import { Worker } from 'bullmq';
import { processor } from './cluster-jobs.mjs';

const [port, queue, kind] = process.argv.slice(2);
const file = fileURLToPath(new URL('cluster-jobs.mjs', import.meta.url));
const run = kind === 'sandboxed' ? file : processor;
const connection = { host: '127.0.0.1', port: Number(port) };
const worker = new Worker(queue, run, { connection, concurrency: 2 });
worker.on('error', console.error);
