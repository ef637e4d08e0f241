// The polyfill as a classic script: it installs before the next script of the page runs, and loads the WebAssembly after.

import { install } from './install.js';

install();
