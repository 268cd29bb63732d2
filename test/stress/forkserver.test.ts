import { stress } from './stress.js';

stress('forkserver');
