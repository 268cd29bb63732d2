import { reusedPoolContract } from '../contract.js';

reusedPoolContract('spawn');
