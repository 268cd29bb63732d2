import { handleContract, poolContract } from '../contract.js';

// Where another context is the default, maps and executors are tested with processes
// of several jobs only (reused/spawn): each start of a node takes long.
const isDefault = process.platform === 'darwin';
if (isDefault) poolContract('spawn');
else handleContract('spawn');
