/*
 * Emails, phone numbers and addresses, from what applications and people
 * write to what Klaviyo takes.  Most are written so already, and cost no
 * memory.
 */


#include "ngx_http_klaviyo_check.h"
#include "klaviyo_decode.h"
#include "ngx_http_klaviyo_warn.h"
#include "json/klaviyo_check.h"
#include "json/klaviyo_idn.h"
#include "json/klaviyo_phone.h"
#include "json/klaviyo_value.h"


static ngx_uint_t ngx_http_klaviyo_check_decode(ngx_pool_t *pool,
    ngx_str_t *value);
static ngx_uint_t ngx_http_klaviyo_check_ip(ngx_str_t *value);
static ngx_uint_t ngx_http_klaviyo_check_copy(ngx_pool_t *pool,
    ngx_str_t *value, const uint8_t *p, size_t len);


/*
 * Cookies are not decoded by nginx, and most applications encode the `@` and
 * the `+` in theirs.  An address asks for no memory.
 */

ngx_uint_t
ngx_http_klaviyo_checked(ngx_pool_t *pool, ngx_http_klaviyo_check_e check,
    ngx_uint_t country, ngx_str_t *value)
{
    size_t  len;
    u_char  email[KLAVIYO_IDN_LEN], phone[KLAVIYO_PHONE_LEN];

    switch (check) {

    case NGX_HTTP_KLAVIYO_CHECK_EMAIL:

        if (!ngx_http_klaviyo_check_decode(pool, value)) {
            return 0;
        }

        if (klaviyo_value_is_email(value->data, value->len)) {
            return 1;
        }

        len = klaviyo_idn_email(value->data, value->len, email);

        return len
               && klaviyo_value_is_email(email, len)
               && ngx_http_klaviyo_check_copy(pool, value, email, len);

    case NGX_HTTP_KLAVIYO_CHECK_PHONE:

        if (!ngx_http_klaviyo_check_decode(pool, value)) {
            return 0;
        }

        if (klaviyo_value_is_phone(value->data, value->len)) {
            return 1;
        }

        len = klaviyo_phone(value->data, value->len, country, phone);

        return len && ngx_http_klaviyo_check_copy(pool, value, phone, len);

    case NGX_HTTP_KLAVIYO_CHECK_IP:
        return ngx_http_klaviyo_check_ip(value);

    case NGX_HTTP_KLAVIYO_CHECK_IDENTIFIER:
        return klaviyo_value_is_identifier(value->data, value->len);

    default:
        return 1;
    }
}


/* what a percent sign does not encode stays as it is; 0: no memory */

static ngx_uint_t
ngx_http_klaviyo_check_decode(ngx_pool_t *pool, ngx_str_t *value)
{
    u_char         *decoded;
    const uint8_t  *text;

    if (ngx_strlchr(value->data, value->data + value->len, '%') == NULL) {
        return 1;
    }

    decoded = ngx_pnalloc(pool, value->len);
    if (decoded == NULL) {
        return 0;
    }

    text = decoded;

    value->len = klaviyo_decode_percent(decoded, value->data, value->len);
    value->len = klaviyo_value_trim(&text, value->len);
    value->data = (u_char *) text;

    return 1;
}


/* ngx_inet_addr() takes "1..2.3" and "01.2.3.4", too */

static ngx_uint_t
ngx_http_klaviyo_check_ip(ngx_str_t *value)
{
    char    text[NGX_INET6_ADDRSTRLEN + 1];
    u_char  address[16];

    if (value->len >= sizeof(text)
        || ngx_strlchr(value->data, value->data + value->len, '\0'))
    {
        return 0;
    }

    ngx_cpystrn((u_char *) text, value->data, value->len + 1);

    return inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, address)
           == 1;
}


static ngx_uint_t
ngx_http_klaviyo_check_copy(ngx_pool_t *pool, ngx_str_t *value,
    const uint8_t *p, size_t len)
{
    u_char  *copy;

    copy = ngx_pnalloc(pool, len);
    if (copy == NULL) {
        return 0;
    }

    ngx_memcpy(copy, p, len);

    value->len = len;
    value->data = copy;

    return 1;
}


klaviyo_counter_e
ngx_http_klaviyo_check_counter(ngx_http_klaviyo_check_e check)
{
    switch (check) {

    case NGX_HTTP_KLAVIYO_CHECK_EMAIL:
        return KLAVIYO_COUNT_VALUE_EMAIL;

    case NGX_HTTP_KLAVIYO_CHECK_PHONE:
        return KLAVIYO_COUNT_VALUE_PHONE;

    case NGX_HTTP_KLAVIYO_CHECK_IDENTIFIER:
        return KLAVIYO_COUNT_VALUE_IDENTIFIER;

    default:
        return KLAVIYO_COUNT_VALUE_IP;
    }
}


ngx_uint_t
ngx_http_klaviyo_check_dropped(u_char *email, size_t len)
{
    ngx_uint_t  i;

    static ngx_str_t  domains[] = {
        ngx_string("@example.com"),
        ngx_string("@test.com")
    };

    for (i = 0; i < sizeof(domains) / sizeof(domains[0]); i++) {

        if (len > domains[i].len
            && ngx_strncasecmp(email + len - domains[i].len, domains[i].data,
                               domains[i].len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_klaviyo_check_warn(ngx_http_request_t *r, u_char *email, size_t len)
{
    ngx_str_t  domain;

    if (!ngx_http_klaviyo_check_dropped(email, len)) {
        return;
    }

    /* the part before the "@" is a person's, and of no use in a log */

    domain.data = (u_char *) ngx_strlchr(email, email + len, '@') + 1;
    domain.len = email + len - domain.data;

    ngx_http_klaviyo_warn(r, NGX_HTTP_KLAVIYO_WARN_DOMAIN, &domain,
                          "is a domain whose events Klaviyo accepts and "
                          "drops: use another one for tests");
}


char *
ngx_http_klaviyo_phone_country(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_loc_conf_t *klcf = conf;

    u_char     *data;
    size_t      len;
    ngx_int_t   country;
    ngx_str_t  *value;

    (void) cmd;

    if (klcf->phone_country != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        klcf->phone_country = 0;
        return NGX_CONF_OK;
    }

    len = value[1].len;
    data = value[1].data;

    if (len && data[0] == '+') {
        len--;
        data++;
    }

    country = len > 3 ? NGX_ERROR : ngx_atoi(data, len);

    if (country < 1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid calling code \"%V\": write it as in 49, "
                           "or \"off\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (!klaviyo_phone_country(country)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "calling code \"%V\" is of no country where one "
                           "zero before a number makes it a national one: "
                           "let the application write \"+\" and the code",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    klcf->phone_country = country;

    return NGX_CONF_OK;
}
