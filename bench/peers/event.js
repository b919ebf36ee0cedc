// What one writes instead, with njs.  njs 0.7 has no handler of the log phase
// and lets a header filter open no socket (ngx.fetch() is refused there), so a
// detached subrequest sends the event; its location does it by proxy_pass.

function send(r) {
    let v = r.variables;

    r.subrequest('/collect', {
        detached: true,
        method: 'POST',
        body: JSON.stringify({
            metric: 'Viewed Product',
            time: v.time_iso8601,
            unique_id: v.request_id,
            __kla_id: v.cookie___kla_id,
            properties: {
                URL: v.scheme + '://' + v.host + v.request_uri,
                Path: v.uri,
                Method: v.request_method,
                Status: r.status,
                Referrer: v.http_referer,
                UserAgent: v.http_user_agent,
                utm_source: v.arg_utm_source,
                ProductID: v.arg_id,
                SKU: v.arg_sku,
                ProductName: v.arg_name,
                Price: Number(v.arg_price),
                Quantity: Number(v.arg_n),
                Categories: v.arg_categories,
                InStock: v.arg_stock === 'yes',
                Currency: v.cookie_currency,
                Language: v.http_accept_language,
                Host: v.host
            }
        })
    });
}

export default {send};
