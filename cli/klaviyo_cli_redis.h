/*
 * A Redis, asked one thing after the other; what is read of it is bounded.
 */


#ifndef KLAVIYO_CLI_REDIS_H
#define KLAVIYO_CLI_REDIS_H


#include <stddef.h>
#include <stdint.h>


typedef struct klaviyo_cli_redis_s  klaviyo_cli_redis_t;


typedef struct klaviyo_cli_reply_s  klaviyo_cli_reply_t;

struct klaviyo_cli_reply_s {
    char                  type;      /* as in the protocol: + - : $ *        */
    int64_t               number;
    char                 *text;      /* ends in NUL; NULL: there is none     */
    size_t                len;
    size_t                n;         /* elements                             */
    klaviyo_cli_reply_t  *element;
};


/*
 * "redis://...", "rediss://..." or "unix:..."; `user` and `password` may be
 * NULL, and `trusted`, see klaviyo_cli_tls.h.  NULL: already told
 */
klaviyo_cli_redis_t *klaviyo_cli_redis_open(const char *url, const char *user,
    const char *password, const char *trusted);
void klaviyo_cli_redis_close(klaviyo_cli_redis_t *redis);

/* the reply, which the caller frees; NULL: an error, already told */
klaviyo_cli_reply_t *klaviyo_cli_redis(klaviyo_cli_redis_t *redis, int argc,
    const char *const *argv);
void klaviyo_cli_reply_free(klaviyo_cli_reply_t *reply);

/* of an array of names and values; NULL: there is no such one */
const char *klaviyo_cli_reply_field(const klaviyo_cli_reply_t *reply,
    const char *name);


#endif /* KLAVIYO_CLI_REDIS_H */
