import { stress } from './stress.js';

stress('spawn');
