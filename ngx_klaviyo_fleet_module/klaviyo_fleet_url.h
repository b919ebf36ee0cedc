/*
 * Where a Redis is:
 *
 *     redis://HOST[:PORT][/DATABASE]      rediss:// the same by TLS
 *     unix:PATH
 *
 * Plain C.
 */


#ifndef KLAVIYO_FLEET_URL_H
#define KLAVIYO_FLEET_URL_H


#include <stddef.h>


#define KLAVIYO_FLEET_HOST_MAX  256
#define KLAVIYO_FLEET_PATH_MAX  108


typedef struct {
    char      host[KLAVIYO_FLEET_HOST_MAX];  /* without the brackets of IPv6 */
    char      path[KLAVIYO_FLEET_PATH_MAX];  /* of a socket; "": by TCP      */
    unsigned  port;
    unsigned  database;
    unsigned  tls:1;
    unsigned  ipv6:1;
} klaviyo_fleet_url_t;


/* NULL, or what is wrong with it, in words */
const char *klaviyo_fleet_url(klaviyo_fleet_url_t *url, const char *text,
    size_t len);


#endif /* KLAVIYO_FLEET_URL_H */
