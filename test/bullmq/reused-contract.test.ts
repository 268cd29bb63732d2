import { clusterContract } from './contract.js';

describe('the contract of executors, in a cluster with processes that are re-used', () => {
  clusterContract(Infinity);
});
