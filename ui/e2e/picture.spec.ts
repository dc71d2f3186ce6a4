// The picture in the README; only `npm run picture` takes it.

import { expect, openFirstMeter, settled, test } from './engine';

test.skip(process.env['OFMON_PICTURE'] !== '1', 'only npm run picture takes it');
test.use({ viewport: { width: 1180, height: 900 } });

test('picture_of_a_meter', async ({ page, engine }) => {
  await openFirstMeter(page, engine);
  await expect(page.getByRole('button', { name: /Show this day/ })).not.toHaveCount(0);
  await settled(page);
  // Down to the end of the bars; the footer names a directory that exists only in this run.
  const { y, height } = (await page.getByRole('region', { name: 'Energy per day' }).boundingBox())!;
  const clip = { x: 0, y: 0, width: 1180, height: Math.ceil(y + height) + 20 };
  await page.screenshot({ path: '../docs/images/ui.png', fullPage: true, clip });
});
