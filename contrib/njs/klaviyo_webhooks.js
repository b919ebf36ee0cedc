/*
 * What shops and others send by webhook, as Klaviyo's events: functions for
 * js_set.  Each reads the request's body and topic, and returns the events as
 * JSON for klaviyo_track_json:
 *
 *     js_import  klaviyo from klaviyo_webhooks.js;
 *     js_set     $shop_events  klaviyo.shopify;
 *
 *     location = /hooks/shopify {
 *         klaviyo_webhook     from=shopify secret_file=...;
 *         klaviyo_track_json  $shop_events;
 *         ...
 *     }
 *
 * A topic that makes no event gives "[]", which is no event.  A body that is
 * not what its sender documents gives "unreadable", which is no JSON:
 * klaviyo_track_json counts it and says so.
 *
 * Metrics, properties and their names are Klaviyo's.  A `unique_id` is made of
 * the sender's own ids, so that a webhook that comes twice is recorded once.
 *
 * Runs in njs 0.7.9 and newer, and in node; needs nothing else.
 */


/* how long a byte order mark is; njs of old has bytes for characters */

function mark(text) {
    if (text.charCodeAt(0) === 0xfeff) {
        return 1;
    }

    return text.charCodeAt(0) === 0xef && text.charCodeAt(1) === 0xbb
           && text.charCodeAt(2) === 0xbf ? 3 : 0;
}


/*
 * An integer that a double cannot hold becomes text: ids stay exact.  Only
 * where there is one is the text looked at: quotes that no backslash precedes
 * tell whether it stands in a string.
 */

function parse(text) {
    const long = /-?[0-9]{16,}/g;
    let exact = '', from = mark(text), inside = false, match;

    while ((match = long.exec(text)) !== null) {
        const before = text.slice(from, match.index);
        const end = match.index + match[0].length;

        inside = inside !== (before.replace(/\\[\s\S]/g, '').split('"').length
                             % 2 === 0);
        exact += before;

        if (inside || /[.0-9eE+]/.test(text.charAt(match.index - 1))
            || /[.eE]/.test(text.charAt(end)))
        {
            exact += match[0];

        } else {
            exact += '"' + match[0] + '"';
        }

        from = end;
    }

    return JSON.parse(exact + text.slice(from));
}


function text(value) {
    if (typeof value === 'number') {
        return String(value);
    }

    return typeof value === 'string' && value.trim() !== ''
           ? value.trim() : undefined;
}


function number(value) {
    if (typeof value === 'string' && value.trim() !== '') {
        value = Number(value);
    }

    return typeof value === 'number' && isFinite(value) ? value : undefined;
}


function list(value) {
    return Array.isArray(value)
           ? value.filter(item => item !== null && typeof item === 'object')
           : [];
}


function object(value) {
    return value !== null && typeof value === 'object'
           && !Array.isArray(value) ? value : {};
}


/* money is kept to the cent: 2 * 14.55 is 29.1 */

function times(price, quantity) {
    return price === undefined || quantity === undefined
           ? undefined : Math.round(price * quantity * 10000) / 10000;
}


/* without what is not known; undefined where nothing is left */

function known(value) {
    if (Array.isArray(value)) {
        value = value.map(known).filter(item => item !== undefined);
        return value.length ? value : undefined;
    }

    if (value === null || value === '') {
        return undefined;
    }

    if (typeof value !== 'object') {
        return value;
    }

    const result = {};

    Object.keys(value).forEach(name => {
        const member = known(value[name]);

        if (member !== undefined) {
            result[name] = member;
        }
    });

    return Object.keys(result).length ? result : undefined;
}


/* each name once, in the order of its first place */

function distinct(names) {
    return names.filter((name, i) => name !== undefined
                                     && names.indexOf(name) === i);
}


/* The order that every shop's order is turned into first:
 *
 *     id, unique_id (if it is not the id), time, value, currency, profile,
 *     url, discount_code, discount_value, billing, shipping, reason,
 *     items: [{id, product, sku, name, quantity, price, url, image,
 *              categories, brand}]
 */

function item(line) {
    return {
        ProductID: line.product,
        SKU: line.sku,
        ProductName: line.name,
        Quantity: line.quantity,
        ItemPrice: line.price,
        RowTotal: times(line.price, line.quantity),
        ProductURL: line.url,
        ImageURL: line.image,
        ProductCategories: line.categories,
        Brand: line.brand
    };
}


function categories(order) {
    return distinct(order.items.reduce(
        (all, line) => all.concat(line.categories || []), []));
}


function event(metric, order) {
    return {
        metric: metric,
        unique_id: order.unique_id || order.id,
        time: order.time,
        value: order.value,
        value_currency: order.value === undefined ? undefined
                                                  : order.currency,
        profile: order.profile,
        properties: {
            OrderId: order.id,
            Reason: order.reason,
            ItemNames: distinct(order.items.map(line => line.name)),
            Categories: categories(order),
            Brands: distinct(order.items.map(line => line.brand)),
            DiscountCode: order.discount_code,
            DiscountValue: order.discount_value,
            CheckoutURL: order.url,
            Items: order.items.map(item),
            BillingAddress: order.billing,
            ShippingAddress: order.shipping
        }
    };
}


/* one event for each line of an order */

function lines(order) {
    return order.items.map((line, i) => {
        const total = times(line.price, line.quantity);

        return {
            metric: 'Ordered Product',
            unique_id: order.id + '_' + (line.id || i + 1),
            time: order.time,
            value: total,
            value_currency: total === undefined ? undefined
                                                : order.currency,
            profile: order.profile,
            properties: {
                OrderId: order.id,
                ProductID: line.product,
                SKU: line.sku,
                ProductName: line.name,
                Quantity: line.quantity,
                ProductURL: line.url,
                ImageURL: line.image,
                Categories: line.categories,
                ProductBrand: line.brand
            }
        };
    });
}


function placed(order) {
    return [event('Placed Order', order)].concat(lines(order));
}


/* An address with the names that Klaviyo's templates use. */

function address(given) {
    given = object(given);

    return {
        first_name: text(given.first_name),
        last_name: text(given.last_name),
        company: text(given.company),
        address1: text(given.address1) || text(given.address_1)
                  || text(given.street_1) || text(given.line1),
        address2: text(given.address2) || text(given.address_2)
                  || text(given.street_2) || text(given.line2),
        city: text(given.city),
        region: text(given.province) || text(given.state),
        zip: text(given.zip) || text(given.postcode)
             || text(given.postal_code),
        country: text(given.country),
        country_code: text(given.country_code) || text(given.country_iso2),
        phone: text(given.phone)
    };
}


/* Shopify: the topic is X-Shopify-Topic's */

function shopifyOrder(body) {
    const customer = object(body.customer);
    const billing = address(body.billing_address);

    return {
        id: text(body.id),
        time: text(body.created_at),
        value: number(body.total_price),
        currency: text(body.currency),
        reason: text(body.cancel_reason),
        discount_code: text(object(list(body.discount_codes)[0]).code),
        discount_value: number(body.total_discounts),
        billing: billing,
        shipping: address(body.shipping_address),
        profile: {
            email: text(body.email) || text(body.contact_email)
                   || text(customer.email),
            phone_number: text(body.phone) || text(customer.phone),
            external_id: text(customer.id),
            first_name: text(customer.first_name) || billing.first_name,
            last_name: text(customer.last_name) || billing.last_name
        },
        items: list(body.line_items).map(line => ({
            id: text(line.id),
            product: text(line.product_id),
            sku: text(line.sku),
            name: text(line.title) || text(line.name),
            quantity: number(line.quantity),
            price: number(line.price),
            brand: text(line.vendor)
        }))
    };
}


function shopifyEvents(body, topic) {
    const order = shopifyOrder(body);

    switch (topic) {

    case 'orders/create':
        return placed(order);

    case 'orders/fulfilled':
        order.time = text(body.updated_at);
        return [event('Fulfilled Order', order)];

    case 'orders/cancelled':
        order.time = text(body.cancelled_at);
        return [event('Canceled Order', order)];

    case 'orders/updated':
        if (body.financial_status !== 'refunded') {
            return [];
        }

        order.time = text(body.updated_at);
        return [event('Refunded Order', order)];

    /* who it is comes later, the first event that says so counts */

    case 'checkouts/create':
    case 'checkouts/update':
        order.id = text(body.token) || order.id;
        order.url = text(body.abandoned_checkout_url);
        return [event('Started Checkout', order)];
    }

    return [];
}


/* WooCommerce: the topic is X-WC-Webhook-Topic's */

function woocommerceOrder(body) {
    const billing = address(body.billing);

    return {
        id: text(body.id),
        time: text(body.date_created_gmt),
        value: number(body.total),
        currency: text(body.currency),
        discount_code: text(object(list(body.coupon_lines)[0]).code),
        discount_value: number(body.discount_total),
        billing: billing,
        shipping: address(body.shipping),
        profile: {
            email: text(object(body.billing).email),
            phone_number: billing.phone,
            external_id: body.customer_id ? text(body.customer_id)
                                          : undefined,
            first_name: billing.first_name,
            last_name: billing.last_name
        },
        items: list(body.line_items).map(line => ({
            id: text(line.id),
            product: text(line.product_id),
            sku: text(line.sku),
            name: text(line.parent_name) || text(line.name),
            quantity: number(line.quantity),
            price: number(line.price),
            image: text(object(line.image).src)
        }))
    };
}


function isDoneWhenPaid(body) {
    return Date.parse(body.date_completed_gmt) - Date.parse(body.date_paid_gmt)
           < 60000;
}


function woocommerceEvents(body, topic) {
    const order = woocommerceOrder(body);
    let first;

    if (topic === 'customer.created') {
        return [{
            metric: 'Created Account',
            unique_id: text(body.id),
            time: text(body.date_created_gmt),
            profile: {
                email: text(body.email),
                external_id: text(body.id),
                first_name: text(body.first_name),
                last_name: text(body.last_name)
            },
            properties: { Username: text(body.username) }
        }];
    }

    if (topic !== 'order.created' && topic !== 'order.updated') {
        return [];
    }

    /* an order that is not paid yet comes again as updated */

    switch (body.status) {

    case 'on-hold':
    case 'processing':
        return placed(order);

    /* one without anything to ship was never `processing` */

    case 'completed':
        first = topic === 'order.created' || isDoneWhenPaid(body)
                ? placed(order) : [];
        order.time = text(body.date_completed_gmt) || order.time;
        return topic === 'order.created'
               ? first : first.concat(event('Fulfilled Order', order));

    case 'cancelled':
        order.time = text(body.date_modified_gmt) || order.time;
        return [event('Canceled Order', order)];

    case 'refunded':
        order.time = text(body.date_modified_gmt) || order.time;
        return [event('Refunded Order', order)];
    }

    return [];
}


/*
 * BigCommerce sends the number of an order alone; this reads the order as its
 * API gives it, with `products` in it.
 */

function bigcommerceOrder(body) {
    const billing = address(body.billing_address);
    const shipping = list(body.shipping_addresses)[0];

    return {
        id: text(body.id),
        time: text(body.date_created),
        value: number(body.total_inc_tax),
        currency: text(body.currency_code),
        discount_value: number(body.coupon_discount),
        billing: billing,
        shipping: address(shipping),
        profile: {
            email: text(object(body.billing_address).email),
            phone_number: billing.phone,
            external_id: body.customer_id ? text(body.customer_id)
                                          : undefined,
            first_name: billing.first_name,
            last_name: billing.last_name
        },
        items: list(body.products).map(line => ({
            id: text(line.id),
            product: text(line.product_id),
            sku: text(line.sku),
            name: text(line.name),
            quantity: number(line.quantity),
            price: number(line.price_inc_tax),
            brand: text(line.brand)
        }))
    };
}


function bigcommerceEvents(body) {
    if (body.scope !== undefined && body.data !== undefined) {
        return [];
    }

    const order = bigcommerceOrder(body);
    const status = text(body.status);

    switch (status) {

    case 'Shipped':
    case 'Completed':
        order.time = text(body.date_shipped) || text(body.date_modified);
        return [event('Fulfilled Order', order)];

    case 'Cancelled':
    case 'Declined':
        order.time = text(body.date_modified);
        return [event('Canceled Order', order)];

    case 'Refunded':
        order.time = text(body.date_modified);
        return [event('Refunded Order', order)];

    case 'Incomplete':
        return [];
    }

    return placed(order);
}


/* Stripe: money is in minor units, in most currencies hundredths, in UGX too */

const whole = ['BIF', 'CLP', 'DJF', 'GNF', 'JPY', 'KMF', 'KRW', 'MGA', 'PYG',
               'RWF', 'VND', 'VUV', 'XAF', 'XOF', 'XPF'];
const thousandths = ['BHD', 'JOD', 'KWD', 'OMR', 'TND'];


function major(amount, currency) {
    amount = number(amount);

    if (amount === undefined || currency === undefined) {
        return undefined;
    }

    return whole.indexOf(currency) !== -1 ? amount
           : thousandths.indexOf(currency) !== -1 ? amount / 1000
           : amount / 100;
}


function stripeProfile(details) {
    details = object(details);

    const names = (text(details.name) || '').split(/\s+/);

    return {
        email: text(details.email),
        phone_number: text(details.phone),
        first_name: names[0] || undefined,
        last_name: names.slice(1).join(' ') || undefined
    };
}


function stripeEvents(body) {
    const about = object(object(body.data).object);
    const currency = text(about.currency)
                     && text(about.currency).toUpperCase();
    const details = object(about.customer_details || about.billing_details);
    const shipping = object(about.shipping_details
                            || object(about.collected_information)
                               .shipping_details
                            || about.shipping);
    const before = number(object(object(body.data).previous_attributes)
                          .amount_refunded) || 0;

    const order = {
        id: text(about.id),
        time: text(body.created),
        currency: currency,
        billing: address(details.address),
        shipping: address(shipping.address),
        profile: stripeProfile(details),
        items: list(object(about.line_items).data).map(line => ({
            id: text(line.id),
            product: text(object(line.price).product),
            name: text(line.description),
            quantity: number(line.quantity),
            price: major(object(line.price).unit_amount, currency)
        }))
    };

    order.profile.email = order.profile.email || text(about.customer_email)
                          || text(about.receipt_email);

    switch (body.type) {

    case 'checkout.session.completed':
    case 'checkout.session.async_payment_succeeded':
        if (about.payment_status === 'unpaid' || about.mode === 'setup') {
            return [];
        }

        order.value = major(about.amount_total, currency);
        order.discount_value = major(
            object(about.total_details).amount_discount, currency);
        return placed(order);

    /* a charge may be refunded in parts, and names the sum of them */

    case 'charge.refunded':
        order.unique_id = order.id + '_' + about.amount_refunded;
        order.value = major(about.amount_refunded - before, currency);
        order.reason = text(object(list(object(about.refunds).data)[0])
                            .reason);
        return [event('Refunded Order', order)];
    }

    return [];
}


/* Zoom */

function zoomEvents(body) {
    const about = object(object(body.payload).object);
    const person = object(about.registrant);

    const metric = body.event === 'webinar.registration_created'
                   ? 'Registered for Webinar'
                   : body.event === 'meeting.registration_created'
                   ? 'Registered for Meeting' : undefined;

    if (metric === undefined) {
        return [];
    }

    return [{
        metric: metric,
        unique_id: distinct([text(about.id), text(person.id)
                                             || text(person.email)])
                   .join('_'),
        time: text(body.event_ts),
        profile: {
            email: text(person.email),
            first_name: text(person.first_name),
            last_name: text(person.last_name),
            organization: text(person.org),
            title: text(person.job_title)
        },
        properties: {
            WebinarID: text(about.id),
            Topic: text(about.topic),
            StartTime: text(about.start_time),
            Duration: number(about.duration),
            Timezone: text(about.timezone)
        }
    }];
}


/* Typeform: the questions are the names of the properties */

function typeformAnswer(answer) {
    switch (answer.type) {

    case 'choice':
        return text(object(answer.choice).label)
               || text(object(answer.choice).other);

    case 'choices':
        return (object(answer.choices).labels || [])
               .concat(object(answer.choices).other || []);

    case 'boolean':
        return answer.boolean;

    case 'number':
        return answer.number;
    }

    return text(answer[answer.type]);
}


function typeformEvents(body) {
    if (body.event_type !== 'form_response') {
        return [];
    }

    const form = object(body.form_response);
    const definition = object(form.definition);
    const hidden = object(form.hidden);
    const titles = {};
    const properties = { FormID: text(form.form_id),
                         FormName: text(definition.title) };

    const profile = {
        email: text(hidden.email),
        phone_number: text(hidden.phone_number),
        external_id: text(hidden.external_id),
        first_name: text(hidden.first_name),
        last_name: text(hidden.last_name)
    };

    list(definition.fields).forEach(field => {
        titles[field.id] = text(field.title);
    });

    list(form.answers).forEach(answer => {
        const field = object(answer.field);
        const value = typeformAnswer(answer);

        if (answer.type === 'email') {
            profile.email = profile.email || value;

        } else if (answer.type === 'phone_number') {
            profile.phone_number = profile.phone_number || value;

        } else if (field.ref === 'first_name' || field.ref === 'last_name') {
            profile[field.ref] = value;

        } else {
            properties[titles[field.id] || field.ref || field.id] = value;
        }
    });

    return [{
        metric: 'Submitted Form',
        unique_id: text(form.token) || text(body.event_id),
        time: text(form.submitted_at),
        profile: profile,
        properties: properties
    }];
}


/* The text of a body and its topic to events, as node runs it too. */

function convert(make, body, topic) {
    let events;

    try {
        events = make(object(parse(body)), topic);

    } catch (e) {
        return 'unreadable';
    }

    for (let i = 0; i < events.length; i++) {
        if (events[i].unique_id === undefined) {
            return 'unreadable';
        }

        events[i] = known(events[i]);
        events[i].properties = events[i].properties || {};
    }

    return JSON.stringify(events);
}


function variable(make) {
    return function (r) {
        return convert(make, r.variables.request_body || '',
                       r.variables.klaviyo_webhook_topic);
    };
}


export default {
    shopify: variable(shopifyEvents),
    woocommerce: variable(woocommerceEvents),
    bigcommerce: variable(bigcommerceEvents),
    stripe: variable(stripeEvents),
    zoom: variable(zoomEvents),
    typeform: variable(typeformEvents),

    convert: {
        shopify: (body, topic) => convert(shopifyEvents, body, topic),
        woocommerce: (body, topic) => convert(woocommerceEvents, body, topic),
        bigcommerce: body => convert(bigcommerceEvents, body),
        stripe: body => convert(stripeEvents, body),
        zoom: body => convert(zoomEvents, body),
        typeform: body => convert(typeformEvents, body)
    }
};
