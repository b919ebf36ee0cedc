// A headless Chromium, by Playwright, that asks for nothing of its own accord.

const { chromium } = require('playwright-core');

module.exports = () => chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic',
        '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync'],
});
