import { reusedValuesContract } from '../contract.js';

reusedValuesContract('forkserver');
