// The list, and what every page owes to its readers.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, openFirstMeter, test, type ListedMeter } from './engine';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface AxeRun {
  violations: { id: string; help: string; nodes: { html: string }[] }[];
  passes: unknown[];
}

test('list_shows_three_meters_with_the_age_of_their_newest_reading', async ({ page, engine }) => {
  const meters = await engine.get<ListedMeter[]>('devices');
  expect(meters).toHaveLength(3);
  await page.goto(engine.url);
  await expect(page.getByRole('article')).toHaveCount(3);
  for (const { name, last_reading_ms } of meters) {
    const card = page.getByRole('article', { name });
    await expect(card.locator('time')).toHaveText(/^(just now|\d+\s(s|min|h|days) ago)$/);
    const shown = Date.parse((await card.locator('time').getAttribute('datetime'))!);
    // The demo goes on while the page is read.
    expect(shown).toBeGreaterThanOrEqual(last_reading_ms);
    await expect(card).toContainText('as of');
    await expect(card).toContainText(/\d\s(W|kW)/);
    await expect(card.locator('svg path.line').first()).toBeAttached();
  }
  await page.screenshot({ path: 'e2e/out/list.png', fullPage: true });
});

test('meter_opens_by_keyboard_alone_and_back_leads_to_the_list', async ({ page, engine }) => {
  await page.goto(engine.url);
  const first = page.getByRole('article').first();
  const name = await first.getByRole('heading').innerText();
  for (let press = 0; press < 12 && !(await first.getByRole('link').evaluate((link) => link === document.activeElement)); press += 1) {
    await page.keyboard.press('Tab');
  }
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(name);
  await expect(page.getByRole('main')).toBeFocused();
  await page.goBack();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Meters');
});

test('collect_fetches_from_the_meters_and_says_so', async ({ page, engine }) => {
  await page.goto(engine.url);
  const asked_ms = (await engine.get<{ now_ms: number }>('status')).now_ms;
  await page.getByRole('button', { name: 'Collect now' }).click();
  await expect(page.getByRole('button', { name: 'Collect now' })).toBeEnabled({ timeout: 30_000 });
  await expect(page.locator('.result')).not.toBeEmpty();
  await expect(page.locator('.result .bad')).toHaveCount(0);
  const meters = await engine.get<{ last_collected_ms: number }[]>('devices');
  for (const { last_collected_ms } of meters) expect(last_collected_ms).toBeGreaterThan(asked_ms - 1);
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`pages_pass_the_accessibility_rules_in_${colorScheme}`, async ({ page, engine }) => {
    await page.emulateMedia({ colorScheme });
    await page.goto(engine.url);
    await expect(page.getByRole('article')).toHaveCount(3);
    await check();
    await openFirstMeter(page, engine);
    await expect(page.getByRole('button', { name: /kWh.*Show this day/ }).first()).toBeVisible();
    await check();

    async function check() {
      await page.evaluate(AXE);
      const run = await page.evaluate(() => (window as unknown as { axe: { run: () => Promise<AxeRun> } }).axe.run());
      expect(run.violations.map(({ id, help, nodes }) => ({ id, help, where: nodes.map(({ html }) => html.slice(0, 160)) }))).toEqual([]);
      expect(run.passes.length).toBeGreaterThan(15);
    }
  });
}
