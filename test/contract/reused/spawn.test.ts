import { reusedContract } from '../contract.js';

reusedContract('spawn');
