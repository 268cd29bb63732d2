import { reusedJobContract } from '../contract.js';

reusedJobContract('forkserver');
