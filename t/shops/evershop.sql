-- What the EverShop of t/shops/evershop.t sells, in a category that it has by
-- itself; how it sends that, and who may log in.  It makes the URLs.

INSERT INTO product (sku, price, weight, status, category_id, package_id)
    SELECT sku, price, 1, true, category_description_category_id, package_id
    FROM category_description, package,
        (VALUES ('SHIRT', 49), ('SCARF', 14.5)) AS new (sku, price)
    WHERE url_key = 'women';

INSERT INTO product_description
    (product_description_product_id, name, url_key)
    SELECT product_id, CASE sku WHEN 'SHIRT' THEN 'Linen Shirt'
        ELSE 'Wool Scarf' END, lower(sku)
    FROM product;

INSERT INTO product_inventory
    (product_inventory_product_id, qty, manage_stock, stock_availability)
    SELECT product_id, 100, true, true FROM product;

INSERT INTO product_image
    (product_image_product_id, origin_image, is_main)
    SELECT product_id, '/assets/' || lower(sku) || '.jpg', true FROM product;

INSERT INTO shipping_zone (name) VALUES ('Everywhere');

INSERT INTO shipping_zone_country (zone_id, country)
    SELECT shipping_zone_id, 'US' FROM shipping_zone;

INSERT INTO shipping_zone_provider (zone_id, provider_code)
    SELECT shipping_zone_id, 'core' FROM shipping_zone;

INSERT INTO core_shipping_method (name) VALUES ('By post');

INSERT INTO core_shipping_method_rate (method_id, zone_id, cost)
    SELECT core_shipping_method_id, shipping_zone_id, 5
    FROM core_shipping_method, shipping_zone;

INSERT INTO customer (email, full_name, password)
    VALUES ('ann@shop.com', 'Ann', :'password');
