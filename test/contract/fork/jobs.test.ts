import { jobContract } from '../contract.js';

jobContract('fork');
