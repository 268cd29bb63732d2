import { Jobserver } from '../../dist/index.js';
import { nodeContract } from './node.js';
import { identity } from '../fixtures/jobs.js';
import { checkSlots } from '../helpers/jobserver.js';
import { checkLeaks } from '../helpers/leaks.js';

describe.each(['spawn', 'forkserver'] as const)('context %s', (context) => {
  checkSlots();
  checkLeaks(async () => {
    const js = new Jobserver({ context, slots: 1 });
    await js.run(identity, 1);
    await js.close();
  });
  nodeContract(context);
});
