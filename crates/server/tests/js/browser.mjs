// Starts the system's Chromium, headless, without any of its own traffic.

import { chromium } from 'playwright-core';

const FLAGS = [
  '--no-sandbox',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
  '--no-first-run',
  '--autoplay-policy=no-user-gesture-required',
];

/** Runs `work` with a fresh page and prints the JSON of what it returns. */
export async function withPage(work) {
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(60_000);
    console.log(JSON.stringify(await work(page)));
  } finally {
    await browser.close();
  }
}
