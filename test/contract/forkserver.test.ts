import { contract } from './contract.js';

contract('forkserver');
