import { poolContract } from '../contract.js';

poolContract('forkserver');
