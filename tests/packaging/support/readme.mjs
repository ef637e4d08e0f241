// The code in READMEs.

import { readFile } from 'node:fs/promises';

/**
 * @typedef {object} Block
 * @property {string} language what stands behind the opening fence
 * @property {string} heading the heading that it is under, without its marks
 * @property {number} line the line of its opening fence, from 1
 * @property {string} code
 */

/**
 * Every fenced block of a Markdown file.
 * @param {string | URL} file
 * @returns {Promise<Block[]>}
 */
export async function codeBlocks(file) {
  const blocks = [];
  let heading = '';
  let open;
  for (const [index, text] of (await readFile(file, 'utf8')).split('\n').entries()) {
    const [, fence] = /^ *```+(.*)$/.exec(text) ?? [];
    if (fence === undefined) {
      if (open) open.code += `${text}\n`;
      else heading = /^#+ (.+)$/.exec(text)?.[1] ?? heading;
    } else if (open) {
      blocks.push(open);
      open = undefined;
    } else {
      open = { language: fence.trim(), heading, line: index + 1, code: '' };
    }
  }
  if (open) throw new Error(`the block at line ${open.line} of ${file} has no end`);
  return blocks;
}
