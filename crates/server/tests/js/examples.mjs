// Runs the contract document's own JavaScript, unchanged, against a server.
//
// The snippets in examples/ are the document's, letter by letter. A browser would resolve their
// relative addresses against the page; the fetch that they see here does the same. Node declares
// a string body as text/plain;charset=UTF-8, as browsers do.

import { readFile } from 'node:fs/promises';

const base = process.argv[2];
const AsyncFunction = (async () => {}).constructor;
const logged = [];
const answers = [];

const pageFetch = async (address, options) => {
  const response = await fetch(new URL(address, base), options);
  answers.push(response.clone());
  return response;
};
const pageConsole = { log: (...words) => logged.push(words.join(' ')), error: (...words) => logged.push(words.join(' ')) };

/** Runs one snippet; `tail` says what to return from its scope. */
async function run(name, tail = '', args = {}) {
  const source = await readFile(new URL(`examples/${name}.js`, import.meta.url), 'utf8');
  const snippet = new AsyncFunction('fetch', 'console', ...Object.keys(args), `${source}\n${tail}`);
  return snippet(pageFetch, pageConsole, ...Object.values(args));
}

const modelId = await run('models-and-create', 'return modelId;');
const created = await answers.at(-1).json();

await run('errors');
const taskId = logged.at(-1).replace('Task ID: ', '');
const result = await run('wait-for-task', 'return waitForTask(taskId);', { taskId });

await run('old-provider');
const old = { status: answers.at(-1).status, message: (await answers.at(-1).json()).message };

// A task that fails: the picture it refers to cannot be had from here.
const refused = await pageFetch('/api/v1/generations/image', {
  method: 'POST',
  body: JSON.stringify({ prompt: 'a cat', model: modelId, imageInputs: ['https://example.com/ref-image.jpg'] }),
});
const failing = (await refused.json()).data.task_id;
const failure = await run('wait-for-task', 'return waitForTask(taskId);', { taskId: failing }).then(
  () => 'it completed',
  error => error.message,
);

console.log(JSON.stringify({ modelId, created, logged: logged[0], taskId, result, old, failure }));
