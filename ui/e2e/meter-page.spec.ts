// The meter's own page, as a phone in the meter's Wi-Fi sees it: an `ofmon sim` meter, no engine.

import { test as base, expect, type Page } from '@playwright/test';
import axe from 'axe-core';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROGRAM = process.env['OFMON_BIN'] ?? '';
const PICTURES = process.env['OFMON_PICTURE'] === '1' ? '../docs/images' : 'e2e/out';
const START_MS_MAX = 120_000;
const TOKEN = 'A1B2C3D4E5F6G7H8I9J0';
const CODE = 'kettle-42';

/** A simulated meter with a state directory of its own. */
class Meter {
  private constructor(
    readonly url: string,
    readonly id: string,
    private readonly child: ChildProcess,
    private readonly state: string,
  ) {}

  static async start(...args: string[]): Promise<Meter> {
    const state = await mkdtemp(join(tmpdir(), 'ofmon-page-'));
    const child = spawn(PROGRAM, ['sim', '--state', state, '--seed', '5', ...args], { stdio: 'ignore' });
    const ended = new Promise<never>((_, reject) => child.once('exit', (code) => reject(new Error(`ofmon sim ended with ${code}`))));
    ended.catch(() => undefined);
    const listed = async () => {
      for (const deadline = Date.now() + START_MS_MAX; Date.now() < deadline; await new Promise((go) => setTimeout(go, 100))) {
        const text = await readFile(join(state, 'meters.json'), 'utf8').catch(() => '');
        const found = /"http:\/\/127\.0\.0\.1:\d+"/.exec(text);
        const id = /"[0-9a-f]{12}"/.exec(text);
        if (found && id) return new Meter(JSON.parse(found[0]) as string, JSON.parse(id[0]) as string, child, state);
      }
      throw new Error('ofmon sim lists no meter');
    };
    return Promise.race([listed(), ended]);
  }

  /** Gives the meter a token, a name and the viewing code. */
  async setUp(): Promise<void> {
    const body = JSON.stringify({ token: TOKEN, name: 'Holiday cottage', code: CODE });
    const answer = await fetch(`${this.url}/api/v1/setup`, { method: 'POST', body });
    expect(answer.status).toBe(200);
  }

  /** Cuts the power. */
  async stop(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const ended = new Promise<void>((resolve) => this.child.once('exit', () => resolve()));
    this.child.kill('SIGINT');
    await ended;
  }

  async end(): Promise<void> {
    await this.stop();
    await rm(this.state, { recursive: true, force: true });
  }
}

const test = base.extend<{ meter: Meter; history: string[]; watched: void }>({
  history: [['--history', '3690s', '--fast-history'], { option: true }],
  meter: async ({ history }, use) => {
    const meter = await Meter.start(...history);
    await use(meter);
    await meter.end();
  },
  watched: [
    async ({ page, meter }, use) => {
      const faults: string[] = [];
      page.on('pageerror', (error) => faults.push(String(error)));
      page.on('console', (message) => {
        // The browser itself tells of answers that are no success: the page has to expect those.
        const isStatus = /Failed to load resource: (the server responded with a status of 4|net::ERR_)/.test(message.text());
        if (message.type() === 'error' && !isStatus) faults.push(message.text());
      });
      page.on('request', (request) => {
        const { origin, protocol } = new URL(request.url());
        if (origin !== meter.url && protocol !== 'data:') faults.push(`foreign request: ${request.url()}`);
      });
      await use();
      expect(faults).toEqual([]);
    },
    { auto: true },
  ],
});

test.use({ viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true });

async function logIn(page: Page, meter: Meter): Promise<void> {
  await meter.setUp();
  await page.goto(meter.url);
  await page.getByLabel('Viewing code').fill(CODE);
  await page.getByRole('button', { name: 'Show the meter' }).click();
  await expect(page.getByRole('status').filter({ hasText: 'Live' })).toBeVisible();
}

/** Holds what is shown to the rules of the Web Content Accessibility Guidelines. */
async function isAccessible(page: Page): Promise<void> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(async () => {
    const { violations } = await (window as unknown as { axe: typeof axe }).axe.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`);
  });
  expect(found).toEqual([]);
}

/** Nothing lies beside the screen. */
async function fits(page: Page): Promise<void> {
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  expect(width).toBeLessThanOrEqual(360);
}

const power = (page: Page) => page.locator('.power').first();

test.describe('a_day_of_history', () => {
  // No bar of five minutes ends while the test runs.
  test.use({ history: ['--history', '93690s', '--fast-history'] });

  test('from_a_new_meter_to_its_values_graph_health_and_file', async ({ page, meter }) => {
    await page.goto(meter.url);
    await expect(page.getByRole('heading', { name: 'This meter is not set up yet' })).toBeVisible();
    await expect(page.locator('#ssid')).toHaveText(`OFMON-${meter.id.toUpperCase()}`);
    await isAccessible(page);
    await fits(page);
    await page.screenshot({ path: `${PICTURES}/page-new.png`, fullPage: true });

    await meter.setUp();
    const code = page.getByLabel('Viewing code');
    await expect(code).toBeVisible();
    await expect(page.getByRole('heading', { name: 'Holiday cottage' })).toBeVisible();
    await isAccessible(page);
    await page.screenshot({ path: `${PICTURES}/page-login.png`, fullPage: true });
    await code.fill('kettle-43');
    await code.press('Enter');
    await expect(page.getByRole('alert')).toHaveText('That is not the viewing code. Try again.');
    await code.fill(CODE);
    await code.press('Enter');

    await expect(page.getByText('Live', { exact: true })).toBeVisible();
    const values = new Set<string>();
    await expect.poll(async () => values.add(await page.locator('#now').innerText()).size, { message: 'values change' }).toBeGreaterThan(3);
    const live = (await (await page.request.get(`${meter.url}/api/v1/live`)).json()) as { channels: { voltage_mv: number; import_mj: number }[] };
    const { voltage_mv, import_mj } = live.channels[0]!;
    const shown = async (title: string) => parseFloat(((await page.locator('#now div', { hasText: title }).locator('dd').textContent()) ?? '').replace(',', ''));
    expect(Math.abs((await shown('Voltage')) - voltage_mv / 1000)).toBeLessThan(5);
    expect(Math.abs((await shown('Used in all')) - import_mj / 3.6e9)).toBeLessThan(0.02);

    const day = (await (await page.request.get(`${meter.url}/api/v1/day?channel=1`)).json()) as { power_w: (number | null)[] };
    const known = day.power_w.filter((value) => value !== null);
    expect(known).toHaveLength(288);
    await expect(page.getByRole('img', { name: /^Power over the last 24 hours. Mean .* in 24 h\.$/ })).toBeVisible();
    const drawn = (await page.locator('.curve').getAttribute('d')) ?? '';
    expect(drawn.match(/[ML]/g)).toHaveLength(288);
    expect(drawn.match(/M/g)).toHaveLength(1);

    const slider = page.getByRole('slider', { name: 'Time in the graph' });
    const highest = known.indexOf(Math.max(...known));
    await slider.focus();
    await page.keyboard.press('Home');
    await expect(page.locator('#readout')).toHaveText(/^23 h 55 min ago/);
    await slider.fill(String(highest));
    const watts = known[highest]!;
    const text = watts < 999.5 ? `${watts}\u00a0W` : `${(watts / 1000).toFixed(2)}\u00a0kW`;
    await expect(page.locator('#readout')).toContainText(`: ${text}`);
    const curve = (await page.locator('.curve').boundingBox())!;
    await page.touchscreen.tap(curve.x + (curve.width * 100.5) / 288, curve.y + 60);
    await expect(slider).toHaveValue('100');

    const health = page.getByRole('region', { name: 'Health' });
    await expect(health).toContainText('Complete: no sample is missing');
    await expect(health).toContainText('No errors');
    await expect(health).toContainText('Not set since the start');
    await expect(health).toContainText('26 h');

    const downloading = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Save readings' }).click();
    const download = await downloading;
    expect(download.suggestedFilename()).toMatch(new RegExp(`^ofmon-${meter.id}-\\d+\\.ofms$`));
    const bytes = await readFile(await download.path());
    expect(bytes.subarray(0, 4).toString()).toBe('OFMS');
    expect(bytes.length).toBeGreaterThan(10_000);

    await isAccessible(page);
    await fits(page);
    await page.evaluate(() => scrollTo(0, 0));
    await page.screenshot({ path: `${PICTURES}/page-light.png`, fullPage: true });
    await page.emulateMedia({ colorScheme: 'dark' });
    await isAccessible(page);
    await page.screenshot({ path: `${PICTURES}/page-dark.png`, fullPage: true });
  });
});

test('an_hour_is_drawn_as_an_hour_and_the_rest_stays_empty', async ({ page, meter }) => {
  await logIn(page, meter);
  await expect(page.locator('#summary')).toHaveText(/ in 1 h\.$/);
  const drawn = (await page.locator('.curve').getAttribute('d')) ?? '';
  expect(drawn.match(/M/g)).toHaveLength(1);
  expect(drawn.match(/[ML]/g)!.length).toBeLessThanOrEqual(12);
  await page.getByRole('slider').fill('0');
  await expect(page.locator('#readout')).toContainText('not measured');
});

test.describe('three_channels', () => {
  test.use({ history: ['--history', '3690s', '--fast-history', '--channels', '3'] });

  test('each_has_its_values_and_its_graph', async ({ page, meter }) => {
    await logIn(page, meter);
    await expect(page.getByRole('heading', { name: /^Channel [123]$/ })).toHaveCount(3);
    const first = await page.locator('.curve').getAttribute('d');
    const loaded = page.waitForResponse((response) => response.url().endsWith('/day?channel=3'));
    await page.getByRole('group', { name: 'Channel' }).getByText('Channel 3').click();
    expect(((await (await loaded).json()) as { channel: number }).channel).toBe(3);
    await expect(page.locator('.curve')).not.toHaveAttribute('d', first!);
    await isAccessible(page);
    await fits(page);
  });
});

test('values_go_on_where_the_stream_does_not_and_a_lost_session_asks_for_the_code', async ({ page, meter, context }) => {
  await page.route('**/live?stream=1', (route) => route.abort());
  await logIn(page, meter);
  const values = new Set<string>();
  await expect.poll(async () => values.add(await page.locator('#now').innerText()).size).toBeGreaterThan(3);
  await context.clearCookies();
  await expect(page.getByRole('alert')).toHaveText('The session is over. Enter the viewing code again.');
  await page.getByLabel('Viewing code').fill(CODE);
  await page.keyboard.press('Enter');
  await expect(page.getByText('Live', { exact: true })).toBeVisible();
  await expect(page.getByRole('alert')).toBeHidden();
});

test('a_meter_that_is_gone_is_said_to_be_gone', async ({ page, meter }) => {
  await logIn(page, meter);
  await expect(power(page)).toHaveText(/\d/);
  await meter.stop();
  await expect(page.getByRole('alert')).toHaveText('The meter cannot be reached. Are you still in its Wi-Fi?');
  await expect(page.getByText('No connection')).toBeVisible();
});
