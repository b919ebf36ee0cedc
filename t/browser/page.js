// The page of klaviyo_status in headless Chromium.
//
//   node page.js URL FOLDER ACCOUNT...
//
// Keeps screenshots in FOLDER and prints what was seen, as JSON: the text of
// each account that a reader sees, what axe-core finds wrong, what the page
// asked for, what the console said.

const launch = require('../lib/chromium.js');
const axe = require('axe-core');

const WAYS = {
    desk:  { viewport: { width: 1280, height: 900 } },
    phone: { viewport: { width: 360, height: 740 }, isMobile: true,
             hasTouch: true },
    dark:  { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' },
    plain: { viewport: { width: 1280, height: 900 },
             javaScriptEnabled: false },
    forced: { viewport: { width: 1280, height: 900 },
              forcedColors: 'active' },
};

async function look(browser, url, folder, way, accounts, seen) {
    const context = await browser.newContext(WAYS[way]);
    const page = await context.newPage();

    page.on('request', (request) => seen.requests.push(request.url()));
    page.on('console', (message) => seen.console.push(message.text()));
    page.on('pageerror', (error) => seen.console.push(String(error)));

    await page.goto(url);
    await page.screenshot({ path: `${folder}/page-${way}.png`,
                            fullPage: true });

    seen.text[way] = {};

    for (const account of accounts) {
        const section = page.locator(`#account-${account}`);

        seen.text[way][account] = await section.innerText();

        if (way === 'desk') {
            await section.screenshot({
                path: `${folder}/account-${account}.png` });
        }
    }

    if (way === 'phone') {
        seen.overflow = await page.evaluate(() =>
            document.documentElement.scrollWidth - window.innerWidth);
    }

    if (way === 'desk') {
        await keyboard(page, seen);
    }

    await context.close();
}

// from the top, by Tab and Enter alone: the figures can be unfolded

async function keyboard(page, seen) {
    for (let i = 0; i < 50; i++) {
        await page.keyboard.press('Tab');

        const found = await page.evaluate(() =>
            document.activeElement.tagName === 'SUMMARY');

        if (found) {
            await page.keyboard.press('Enter');
            seen.unfolded = await page.evaluate(() =>
                document.activeElement.parentElement.open
                && document.activeElement.parentElement.innerText);
            return;
        }
    }
}

async function check(browser, url, way, seen) {
    const context = await browser.newContext({ ...WAYS[way],
                                               bypassCSP: true });
    const page = await context.newPage();

    await page.goto(url);
    await page.evaluate(() => document.querySelectorAll('details')
        .forEach((details) => { details.open = true; }));
    await page.evaluate(axe.source);

    const result = await page.evaluate(() => window.axe.run(document));

    for (const violation of result.violations) {
        seen.violations.push(`${way}: ${violation.id}: ${violation.help}: `
            + violation.nodes.map((node) => node.html).join(' | ')
                .slice(0, 500));
    }

    seen.passes += result.passes.length;
    await context.close();
}

async function main(url, folder, accounts) {
    const browser = await launch();
    const seen = { text: {}, violations: [], passes: 0, requests: [],
                   console: [] };

    for (const way of Object.keys(WAYS)) {
        await look(browser, url, folder, way, accounts, seen);
    }

    for (const way of ['desk', 'phone', 'dark']) {
        await check(browser, url, way, seen);
    }

    await browser.close();
    console.log(JSON.stringify(seen));
}

main(process.argv[2], process.argv[3], process.argv.slice(4)).then(
    () => process.exit(0),
    (error) => { console.error(error); process.exit(1); });
