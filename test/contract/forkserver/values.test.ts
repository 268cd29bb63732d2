import { valuesContract } from '../contract.js';

valuesContract('forkserver');
