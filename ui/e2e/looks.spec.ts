// How it looks: on a phone, in the dark, under a finger.

import type { Page } from '@playwright/test';
import { expect, graphState, openFirstMeter, paintedPixels, settled, test } from './engine';

const PHONE = { width: 390, height: 844 };

async function expectNoSidewaysScroll(page: Page): Promise<void> {
  const { content, window } = await page.evaluate(() => ({
    content: document.documentElement.scrollWidth,
    window: document.documentElement.clientWidth,
  }));
  expect(content).toBeLessThanOrEqual(window);
}

for (const width of [320, PHONE.width]) {
  test(`nothing_scrolls_sideways_at_${width}_pixels`, async ({ page, engine }) => {
    await page.setViewportSize({ width, height: PHONE.height });
    await page.goto(engine.url);
    await expect(page.getByRole('article')).toHaveCount(3);
    await expectNoSidewaysScroll(page);
    await page.screenshot({ path: `e2e/out/phone-${width}-list.png`, fullPage: true });
    await openFirstMeter(page, engine);
    await expect(page.getByRole('button', { name: /Show this day/ }).first()).toBeVisible();
    await expectNoSidewaysScroll(page);
    await page.screenshot({ path: `e2e/out/phone-${width}-meter.png`, fullPage: true });
    await page.getByRole('group', { name: 'Number of days' }).getByRole('button', { name: '30 d' }).click();
    await expect(page.getByRole('button', { name: /Show this day/ })).not.toHaveCount(14);
    await expectNoSidewaysScroll(page);
  });
}

test('dark_system_gives_dark_pages_and_a_change_redraws_the_graph', async ({ page, engine }) => {
  const brightness = () =>
    page.evaluate(() => {
      const parts = getComputedStyle(document.documentElement).backgroundColor.match(/\d+/g)!.map(Number);
      return (parts[0]! + parts[1]! + parts[2]!) / 3;
    });
  await page.emulateMedia({ colorScheme: 'light' });
  await openFirstMeter(page, engine);
  expect(await brightness()).toBeGreaterThan(200);
  await page.screenshot({ path: 'e2e/out/meter.png', fullPage: true });
  await page.emulateMedia({ colorScheme: 'dark' });
  await expect.poll(brightness).toBeLessThan(60);
  // Counted in the dark theme's own colour.
  await expect.poll(() => paintedPixels(page)).toBeGreaterThan(500);
  await page.screenshot({ path: 'e2e/out/meter-dark.png', fullPage: true });
  await page.goto(engine.url);
  await expect(page.getByRole('article')).toHaveCount(3);
  await page.screenshot({ path: 'e2e/out/list-dark.png', fullPage: true });
});

test.describe('touch', () => {
  test.use({ hasTouch: true, viewport: PHONE });

  test('one_finger_moves_the_graph_and_two_stretch_it', async ({ page, engine }) => {
    await openFirstMeter(page, engine);
    await settled(page);
    await page.locator('.u-over').scrollIntoViewIfNeeded();
    const before = await graphState(page);
    const { x, y, width } = (await page.locator('.u-over').boundingBox())!;
    const session = await page.context().newCDPSession(page);
    const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', places: number[]) =>
      session.send('Input.dispatchTouchEvent', {
        type,
        touchPoints: places.map((place, id) => ({ id, x: x + place * width, y: y + 80 })),
      });

    await touch('touchStart', [0.3]);
    for (const place of [0.4, 0.5, 0.6, 0.7, 0.8]) await touch('touchMove', [place]);
    await touch('touchEnd', []);
    const span = before.to_ms - before.from_ms;
    await expect.poll(async () => (before.from_ms - (await graphState(page)).from_ms) / span).toBeCloseTo(0.5, 1);

    await settled(page);
    await touch('touchStart', [0.4, 0.6]);
    for (const apart of [0.15, 0.2, 0.3, 0.4]) await touch('touchMove', [0.5 - apart, 0.5 + apart]);
    await touch('touchEnd', []);
    await expect.poll(async () => {
      const { from_ms, to_ms } = await graphState(page);
      return (to_ms - from_ms) / span;
    }).toBeCloseTo(0.25, 1);
  });
});
