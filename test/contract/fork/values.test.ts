import { valuesContract } from '../contract.js';

valuesContract('fork');
