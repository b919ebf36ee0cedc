<?php

// php wordpress-setup.php install|fill, in WordPress's folder

if ($argv[1] === 'install') {
    define('WP_INSTALLING', true);
}

$_SERVER['HTTP_HOST'] = 'localhost';

require getcwd() . '/wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';

if ($argv[1] === 'install') {
    wp_install('Shop', 'admin', 'admin@shop.com', true, '', 'password');
    update_option('permalink_structure', '/%postname%/');
    exit;
}

$term = wp_insert_term('Lighting', 'product_cat')['term_id'];

foreach (['Lamp', 'Mug'] as $name) {
    $id = wp_insert_post(['post_type' => 'product', 'post_title' => $name,
        'post_status' => 'publish', 'post_content' => "A good $name."]);

    wp_set_object_terms($id, [$term], 'product_cat');
}

foreach (['Cart', 'Checkout', 'My account'] as $name) {
    wp_insert_post(['post_type' => 'page', 'post_title' => $name,
        'post_status' => 'publish', 'post_content' => $name]);
}

flush_rewrite_rules();
