// A visitor in headless Chromium.
//
//   node browser.js URL JOURNEY
//
// JOURNEY is a file that exports `async (page, go) => ...`, with a page of
// Playwright's and `go(path)`, which opens a page and waits until it is quiet.
// The visitor has a cookie of Klaviyo's script.  Exits with 0 when the journey
// came to its end.

const launch = require('../lib/chromium.js');
const path = require('path');

const AGENT = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 '
    + '(KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36';

async function main(url, journey) {
    const browser = await launch();
    const context = await browser.newContext({ userAgent: AGENT });

    await context.addCookies([{ name: '__kla_id', url,
        value: Buffer.from('{"$exchange_id":"ann.ABC123"}')
            .toString('base64').replace(/=/g, '%3D') }]);

    const page = await context.newPage();

    page.setDefaultTimeout(60000);

    const quiet = () => page.waitForLoadState('networkidle');

    await require(path.resolve(journey))(page, async (target) => {
        await page.goto(url + target);
        await quiet();
    }, quiet);

    await browser.close();
}

main(process.argv[2], process.argv[3]).then(() => process.exit(0),
    (error) => { console.error(error); process.exit(1); });
