// The engine goes away under an open page and returns. It returns as `ofmon serve` without the
// simulated meters, so this file's name keeps it behind the others.

import { expect, openFirstMeter, paintedPixels, test } from './engine';

test('silent_engine_is_announced_figures_stay_and_return_heals_everything', async ({ page, engine }) => {
  await openFirstMeter(page, engine);
  const name = await page.getByRole('heading', { level: 1 }).innerText();
  await engine.stop();
  await expect(page.getByRole('alert')).toContainText('ofmon is not answering');
  await expect(page.getByText('Not connected')).toBeVisible();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(name);
  expect(await paintedPixels(page)).toBeGreaterThan(500);
  await page.screenshot({ path: 'e2e/out/lost.png' });

  // Another window while the engine is gone is loaded once it is back.
  await page.getByRole('button', { name: '6 h' }).click();
  await engine.serveAgain();
  await page.getByRole('button', { name: 'Try now' }).click({ timeout: 2000 }).catch(() => undefined);
  await expect(page.getByRole('alert')).toHaveCount(0);
  await expect(page.getByText('Connected', { exact: true })).toBeVisible();
  await expect.poll(() => paintedPixels(page)).toBeGreaterThan(200);
});
