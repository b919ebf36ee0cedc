// What a visitor does in t/shops/evershop.t.

module.exports = async (page, go, quiet) => {
    const choose = async (field, option) => {
        await page.click(`[id="field-shippingAddress.${field}"]`);
        await page.click(`[role=option]:has-text("${option}")`);
    };
    const answered = (path, doing) => Promise.all([
        page.waitForResponse((answer) => path.test(answer.url())
            && answer.request().method() === 'POST'), doing()]);

    await go('/');
    await go('/women');
    await page.click('a[href$="/women/shirt"]');
    await page.waitForURL('**/women/shirt');
    await quiet();
    await answered(/\/items$/, () => page.click('text="Add to cart"'));
    await quiet();
    await go('/women/scarf');
    await go('/search?keyword=shirt');
    await go('/cart');
    await page.click('text="Proceed to checkout"');
    await page.waitForURL('**/checkout');
    await quiet();

    await page.fill('[name="contact.email"]', 'buyer@shop.com');

    for (const [field, value] of [['full_name', 'Ann'],
        ['telephone', '5550100'], ['address_1', '1 Main Street'],
        ['city', 'Springfield'], ['postcode', '62701']])
    {
        await page.fill(`[name="shippingAddress.${field}"]`, value);
    }

    await choose('country', 'United States');
    await choose('province', 'Illinois');
    await answered(/\/shippingMethods$/, () => page.click('text="By post"'));
    await quiet();
    await page.click('.payment-methods-list [role=radio]');
    await page.click('text="Place Order"');
    await page.waitForURL('**/checkout/success/**');
    await quiet();
    await page.reload();
    await quiet();

    await go('/account/login');
    await page.fill('[name="email"]', 'ann@shop.com');
    await page.fill('[name="password"]', 'password1');
    await page.click('#loginForm button:has-text("Sign In")');
    await page.waitForURL((url) => url.pathname === '/');
    await quiet();
    await go('/account');
    await go('/nothing');
};
