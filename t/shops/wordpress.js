// What a visitor does in t/shops/wordpress.t.

module.exports = async (page, go, quiet) => {
    const click = async (selector) => {
        await page.click(selector);
        await quiet();
    };

    await go('/');
    await go('/product-category/lighting/');
    await click('a[href$="/product/lamp/"]');
    await page.click('#script');
    await page.waitForSelector('text=Added');
    await click('#form button');
    await go('/product/mug');
    await go('/?s=lamp');
    await go('/cart/');
    await go('/checkout/');
    await page.click('#pay');
    await page.waitForURL('**/order-received/**');
    await quiet();
    await page.reload();
    await quiet();
    await go('/my-account/');
    await go('/nothing/');

    // the administration is nobody's shop

    await go('/wp-login.php');
    await page.fill('#user_login', 'admin');
    await page.fill('#user_pass', 'password');
    await page.click('#wp-submit');
    await page.waitForURL('**/wp-admin/**');
    await quiet();
    await go('/wp-admin/edit.php?post_type=product');
};
