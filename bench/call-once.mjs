// Runs the call that a message describes, sends its result and ends.
import { once } from 'node:events';

const [{ module, name, value }] = await once(process, 'message');
const { [name]: fn } = await import(module);
const result = await fn(value);
process.send(result, () => process.disconnect());
