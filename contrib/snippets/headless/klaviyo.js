// Events for nginx's klaviyo module, from a server in JavaScript: of Express,
// Next.js (API routes, middleware), Nuxt, Remix, or node:http itself.
//
//     import { klaviyoEvents, orderEvents } from "./klaviyo.js";
//
//     app.post("/orders", async (request, response) => {
//         const order = await place(request.body);
//
//         klaviyoEvents(response, orderEvents(order));
//         response.status(201).json(order);
//     });
//
// nginx reads the header and takes it out: klaviyo_response_header
// X-Klaviyo-Event; the events have the identity of this request's visitor
// unless they name a profile.

const MAX = 12288;          // bytes: what nginx's buffer has room for


// ASCII without line ends, as headers are

function ascii(value) {
    return JSON.stringify(value).replace(/[\u007f-\uffff]/g,
        (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}


// false: there is no room, or the headers have been sent

export function klaviyoEvents(response, events) {
    const text = ascii(events);

    if (text.length >= MAX || response.headersSent) {
        return false;
    }

    if (response.headers && typeof response.headers.set === "function") {
        response.headers.set("X-Klaviyo-Event", text);      // of fetch()
    } else {
        response.setHeader("X-Klaviyo-Event", text);        // of node:http
    }

    return true;
}


// order: {number, total, currency, email, items: [{id, sku, name, quantity,
// price}]}.  The same ids each time it is told.

export function orderEvents(order) {
    const profile = { email: order.email };
    const items = order.items.map((item) => ({
        ProductID: String(item.id),
        SKU: item.sku,
        ProductName: item.name,
        Quantity: item.quantity,
        ItemPrice: item.price,
        RowTotal: Number((item.price * item.quantity).toFixed(2)),
    }));

    return [
        {
            metric: "Placed Order",
            unique_id: String(order.number),
            value: order.total,
            value_currency: order.currency,
            profile,
            properties: {
                OrderId: String(order.number),
                ItemNames: items.map((item) => item.ProductName),
                Items: items,
            },
        },
        ...items.map((item, n) => ({
            metric: "Ordered Product",
            unique_id: `${order.number}_${n}`,
            value: item.RowTotal,
            value_currency: order.currency,
            profile,
            properties: { OrderId: String(order.number), ...item },
        })),
    ];
}
