// What t/shops/prefetch.t has a browser do: a page asks for another one ahead,
// in each way that there is, and its link is clicked.

const fs = require('fs');

const WAYS = [['link', 'none'],
    ...['prefetch', 'prerender'].flatMap(kind =>
        ['immediate', 'eager', 'moderate', 'conservative'].map(
            eagerness => [kind, eagerness]))];

module.exports = async (page, go) => {
    const asked = async (name) => {
        for (let i = 0; i < 300; i++) {
            if (fs.readFileSync(process.env.KLAVIYO_ASKED, 'utf8')
                .includes(`/${name} `)) {
                return;
            }

            await page.waitForTimeout(50);
        }

        throw new Error(`${name} was not asked for ahead`);
    };

    for (const mode of ['refuse', 'skip', 'count']) {
        for (const [kind, eagerness] of WAYS) {
            const name = `${mode}-${kind}-${eagerness}`;

            await go(`/${mode}/page?kind=${kind}&eagerness=${eagerness}`
                + `&target=/${mode}/target/${name}`);
            await page.hover('#link');

            // the last one begins when the button is down

            if (eagerness !== 'conservative') {
                await asked(name);
            }

            await page.mouse.down();
            await asked(name);
            await page.mouse.up();
            await page.waitForURL(`**/${mode}/target/${name}`);
            await page.waitForSelector('text=target');
        }
    }
};
