import { reusedValuesContract } from '../contract.js';

reusedValuesContract('spawn');
