// A plain thread, or a plain process, that returns what it is sent. Sent a pair of a
// buffer and true, a thread transfers the buffer.
import { parentPort } from 'node:worker_threads';

parentPort?.on('message', ([value, isTransferred]) => {
  parentPort.postMessage(value, isTransferred ? [value.buffer] : []);
});
process.on('message', (value) => process.send(value));
