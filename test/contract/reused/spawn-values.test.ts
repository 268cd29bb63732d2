import { onlyReusedValuesContract, reusedValuesContract } from '../contract.js';

// Once a process has started, its values travel as those of a forked one.
const isDefault = process.platform === 'darwin';
if (isDefault) reusedValuesContract('spawn');
else onlyReusedValuesContract('spawn');
