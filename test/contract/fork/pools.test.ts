import { poolContract } from '../contract.js';

poolContract('fork');
