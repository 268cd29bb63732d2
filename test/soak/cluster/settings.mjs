// What all processes of a round have in common.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The modules of jobs are in this folder. */
export const root = dirname(fileURLToPath(import.meta.url));
export const slotsOfHost = 2;
