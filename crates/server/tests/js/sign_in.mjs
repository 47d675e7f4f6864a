// Signs in as a person would, who reads no word of the page: node sign_in.mjs <root> <name> <password> <presses>

import { withPage } from './browser.mjs';

const [root, name, password, presses] = process.argv.slice(2);

await withPage(async page => {
  const tokens = [];
  let logins = 0;
  page.on('request', request => {
    if (request.url().endsWith('/user/credits')) tokens.push(request.headers().token);
    if (request.url().endsWith('/login') && request.method() === 'POST') logins += 1;
  });
  await page.goto(`${root}/login`);
  const button = page.locator('button');
  const words = await button.innerText();
  await page.locator('#Username').pressSequentially(name);
  await page.locator('#Password').pressSequentially(password);
  for (let press = 0; press < Number(presses); press += 1) await button.click();
  const signs = { home: '#home', verification: '#verification', refused: '#message:not(:empty)' };
  const seen = await Promise.race(Object.entries(signs)
    .map(([sign, selector]) => page.waitForSelector(selector).then(() => sign, () => 'nothing')));
  const cookie = (await page.context().cookies()).find(cookie => cookie.name === '_ai_token')?.value;
  const stored = await page.evaluate(() => localStorage.getItem('_ai_token'));
  const text = await page.evaluate(() => document.body.innerText);
  return { words, seen, logins, tokens, cookie, stored, text };
});
