// Prints one line for each event to stderr if NODE_DEBUG contains jobserver.
import { debuglog } from 'node:util';

export const trace = debuglog('jobserver');
