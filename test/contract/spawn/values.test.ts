import { valuesContract } from '../contract.js';

valuesContract('spawn');
