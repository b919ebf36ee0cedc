/*
 * One end of the shared queue; see the header.
 */


#include "ngx_http_klaviyo_fleet_end.h"

#include "queue/klaviyo_ring.h"
#include "ngx_http_klaviyo_limits.h"


ngx_int_t
ngx_http_klaviyo_fleet_end_open(ngx_http_klaviyo_fleet_end_t *end,
    ngx_http_klaviyo_account_t *account, ngx_log_t *log)
{
    ngx_http_klaviyo_main_conf_t  *kmcf;

    kmcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_klaviyo_module);

    end->queue.name = account->fleet_key;
    end->queue.lane.data = (u_char *) account->lane->name;
    end->queue.lane.len = ngx_strlen(account->lane->name);
    end->queue.account = &account->name;
    end->queue.log = log;

    end->ops = kmcf->fleet.ops;
    end->figures = ngx_http_klaviyo_limits_figures(account);
    end->handle = end->ops->queue_open(account->fleet, &end->queue);

    return end->handle ? NGX_OK : NGX_ERROR;
}


void
ngx_http_klaviyo_fleet_end_close(ngx_http_klaviyo_fleet_end_t *end)
{
    if (end->handle) {
        end->ops->queue_close(end->handle);
        end->handle = NULL;
    }
}


ngx_int_t
ngx_http_klaviyo_fleet_end_call(ngx_http_klaviyo_fleet_end_t *end,
    ngx_http_klaviyo_fleet_op_e op,
    const ngx_http_klaviyo_fleet_value_t *value, ngx_uint_t n)
{
    return end->ops->queue_call(end->handle, op, value, n);
}


void
ngx_http_klaviyo_fleet_end_hosts(ngx_http_klaviyo_fleet_end_t *end,
    const ngx_http_klaviyo_fleet_value_t *value, ngx_uint_t n)
{
    ngx_uint_t                      i, k;
    ngx_http_klaviyo_fleet_host_t  *host;

    k = 0;

    for (i = 0; i + 3 <= n && k < NGX_HTTP_KLAVIYO_FLEET_HOSTS; i += 3) {

        if (value[i].text.len > NGX_HTTP_KLAVIYO_FLEET_HOST) {
            continue;
        }

        host = &end->figures->list[k++];

        ngx_memcpy(host->name, value[i].text.data, value[i].text.len);
        host->len = value[i].text.len;
        host->age = (uint64_t) ngx_max(value[i + 1].number, 0) / 1000;
        host->left = (uint64_t) ngx_max(value[i + 2].number, 0);
    }

    end->figures->nlist = k;
}


size_t
ngx_http_klaviyo_fleet_host(u_char *text, const uint8_t *uuid)
{
    u_char  *p, ch;
    size_t   i, n;

    p = text;
    n = ngx_min(ngx_cycle->hostname.len, 64);

    for (i = 0; i < n; i++) {
        ch = ngx_cycle->hostname.data[i];

        *p++ = ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
                || (ch >= '0' && ch <= '9') || ch == '-' || ch == '.')
               ? ch : '_';
    }

    *p++ = ':';
    p = ngx_hex_dump(p, (u_char *) uuid, KLAVIYO_RING_UUID_LEN);

    return p - text;
}
