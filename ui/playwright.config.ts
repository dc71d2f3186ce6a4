// The page in a real browser against the real engine. OFMON_BIN is the program, CHROMIUM the
// browser; nothing is downloaded.

import { defineConfig } from '@playwright/test';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export default defineConfig({
  testDir: 'e2e',
  outputDir: 'e2e/out/failures',
  // One engine serves all tests, and one of them restarts it.
  workers: 1,
  timeout: 60_000,
  // A failure is a finding, not something to try again.
  retries: 0,
  forbidOnly: true,
  reporter: 'list',
  expect: { timeout: 10_000 },
  use: {
    locale: 'en-GB',
    viewport: { width: 1280, height: 860 },
    screenshot: 'only-on-failure',
    launchOptions: { executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: FLAGS },
  },
});
