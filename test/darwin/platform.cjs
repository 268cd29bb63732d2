'use strict';

// Makes this process look like one on macOS.
Object.defineProperty(process, 'platform', { value: 'darwin' });
