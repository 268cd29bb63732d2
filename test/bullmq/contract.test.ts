import { clusterContract } from './contract.js';

describe('the contract of executors, in a cluster', () => {
  clusterContract();
});
