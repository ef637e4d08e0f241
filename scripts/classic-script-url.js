// Stands in for `import.meta.url` in polyfill.global.js, which lies one directory above the modules it was bundled from.

const script = document.currentScript?.src || document.baseURI;

export const moduleUrl = new URL('dist/polyfill.global.js', script).href;
