import { contract } from './contract.js';

contract('fork');
