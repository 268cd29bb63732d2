import { contract } from './contract.js';

contract('spawn');
