'use strict';

// Preloaded into all processes by NODE_OPTIONS. It spares the processes of jest,
// because jest chooses its own native modules by the platform; the tests in
// them get the other platform from jest's option setupFiles.
const isJest = /\/node_modules\/jest/.test(process.argv[1]);
if (!isJest) require('./platform.cjs');
