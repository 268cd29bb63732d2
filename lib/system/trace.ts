// What happens, for NODE_DEBUG=jobserver; one line per event on stderr.
import { debuglog } from 'node:util';

export const trace = debuglog('jobserver');
