import { jobContract } from '../contract.js';

jobContract('forkserver');
