// The picture in the README; only `npm run picture` takes it.

import { expect, openFirstMeter, settled, test } from './engine';

test.skip(process.env['OFMON_PICTURE'] !== '1', 'only npm run picture takes it');
test.use({ viewport: { width: 1180, height: 1080 }, deviceScaleFactor: 1 });

test('picture_of_a_meter', async ({ page, engine }) => {
  await openFirstMeter(page, engine);
  await expect(page.getByRole('button', { name: /Show this day/ })).not.toHaveCount(0);
  await settled(page);
  await page.screenshot({ path: '../docs/images/ui.png' });
});
