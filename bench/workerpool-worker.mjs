// A worker of workerpool that has the functions of the module that it is given.
import workerpool from 'workerpool';

const exported = Object.entries(await import(process.argv[2]));
workerpool.worker(
  Object.fromEntries(exported.filter(([, fn]) => typeof fn === 'function')),
);
