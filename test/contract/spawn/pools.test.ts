import { poolContract } from '../contract.js';

poolContract('spawn');
