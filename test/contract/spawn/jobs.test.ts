import { jobContract } from '../contract.js';

jobContract('spawn');
