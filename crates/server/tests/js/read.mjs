// Reads a page as a person would: node read.mjs <address> <text that must appear>

import { withPage } from './browser.mjs';

const [address, text] = process.argv.slice(2);

await withPage(async page => {
  const [failed, foreign, errors] = [[], [], []];
  const own = new URL(address).origin;
  page.on('request', request => {
    const url = request.url();
    if (/^https?:/.test(url) && new URL(url).origin !== own) foreign.push(url);
  });
  page.on('requestfailed', request => failed.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on('response', response => { if (response.status() >= 400) failed.push(`${response.url()}: ${response.status()}`); });
  page.on('pageerror', error => errors.push(error.message));
  page.on('console', message => { if (message.type() === 'error') errors.push(message.text()); });
  await page.goto(address);
  // Long paths carry invisible marks where they may break.
  const shows = text => document.body.innerText.replaceAll('\u200b', '').includes(text);
  const found = await page.waitForFunction(shows, text).then(() => true, () => false);
  return { found, failed, foreign, errors };
});
