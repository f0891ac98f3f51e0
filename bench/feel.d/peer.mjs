// peer.mjs - evaluations a second of npm feelin over the same expressions; prints one number a round.
// usage: node peer.mjs FEELIN_FOLDER EXPRESSIONS CONTEXT SECONDS
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const [folder, expressionsFile, contextFile, seconds] = process.argv.slice(2);
const { evaluate } = await import(pathToFileURL(join(folder, 'dist', 'index.js')).href);
const expressions = readFileSync(expressionsFile, 'utf8').split('\n').filter((line) => line);
const context = JSON.parse(readFileSync(contextFile, 'utf8'));

function round(ms) {
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < ms) {
    for (const expression of expressions) evaluate(expression, context);
    count += expressions.length;
  }
  return (count * 1000) / (performance.now() - start);
}

round(1000); // warm
console.log(round(Number(seconds) * 1000).toFixed(0));
