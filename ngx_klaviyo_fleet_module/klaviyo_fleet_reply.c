/*
 * What Redis answers.  Room: fleet, plain C.
 */


#include <stdio.h>
#include <string.h>

#include "klaviyo_fleet_reply.h"


/* scripts with TIME are replicated by their effects, and users have ACLs */
#define KLAVIYO_FLEET_VERSION    6

#define KLAVIYO_FLEET_HOSTS_MAX  100000
#define KLAVIYO_FLEET_TIME_MAX   ((int64_t) 1 << 50)    /* ms */


typedef struct {
    const char             *word;
    klaviyo_fleet_reply_e   kind;
} klaviyo_fleet_error_t;


static const char *klaviyo_fleet_line(const char *p, const char *end,
    const char *name, size_t *len);
static uint64_t klaviyo_fleet_uint(const char *p, size_t len, size_t *used);


static const klaviyo_fleet_error_t  klaviyo_fleet_errors[] = {
    { "NOSCRIPT ", KLAVIYO_FLEET_NOSCRIPT },
    { "LOADING ", KLAVIYO_FLEET_LOADING },
    { "MASTERDOWN ", KLAVIYO_FLEET_LOADING },
    { "BUSY ", KLAVIYO_FLEET_LOADING },
    { "READONLY ", KLAVIYO_FLEET_READONLY },
    { "-READONLY ", KLAVIYO_FLEET_READONLY },
    { "WRONGPASS ", KLAVIYO_FLEET_DENIED },
    { "NOAUTH ", KLAVIYO_FLEET_DENIED },
    { "NOPERM ", KLAVIYO_FLEET_DENIED },
    { "ERR invalid password", KLAVIYO_FLEET_DENIED },
    { "ERR AUTH ", KLAVIYO_FLEET_DENIED },
    { "OOM ", KLAVIYO_FLEET_FULL },
    { "TRYAGAIN ", KLAVIYO_FLEET_MOVES },
    { "MOVED ", KLAVIYO_FLEET_MOVES },
    { "ASK ", KLAVIYO_FLEET_MOVES },
    { "CLUSTERDOWN ", KLAVIYO_FLEET_MOVES },
    { NULL, KLAVIYO_FLEET_REFUSED }
};


klaviyo_fleet_reply_e
klaviyo_fleet_reply(const redisReply *reply)
{
    size_t                        n;
    const klaviyo_fleet_error_t  *e;

    if (reply == NULL) {
        return KLAVIYO_FLEET_STRANGE;
    }

    if (reply->type != REDIS_REPLY_ERROR) {
        return KLAVIYO_FLEET_OK;
    }

    for (e = klaviyo_fleet_errors; e->word != NULL; e++) {
        n = strlen(e->word);

        if ((size_t) reply->len >= n && memcmp(reply->str, e->word, n) == 0) {
            break;
        }
    }

    return e->kind;
}


const char *
klaviyo_fleet_reply_words(klaviyo_fleet_reply_e kind, const redisReply *reply,
    char *text, size_t len)
{
    size_t  i, n;

    switch (kind) {

    case KLAVIYO_FLEET_NOSCRIPT:
        return "its script fails (it has forgotten it)";

    case KLAVIYO_FLEET_READONLY:
        return "its script fails (it is a replica by now)";

    case KLAVIYO_FLEET_DENIED:
        return "its script fails (denied: see what Redis's ACL allows)";

    case KLAVIYO_FLEET_FULL:
        return "its script fails (over its maxmemory)";

    case KLAVIYO_FLEET_LOADING:
    case KLAVIYO_FLEET_REFUSED:
        break;

    default:
        return "its script fails (no such answer)";
    }

    /* in Redis's own words, as there are many reasons */

    n = (size_t) snprintf(text, len, "its script fails (%.*s)",
                          (int) reply->len, reply->str);

    for (i = 0; i < n && i < len - 1; i++) {
        if (text[i] < ' ' || text[i] >= 0x7f) {
            text[i] = '?';
        }
    }

    return text;
}


klaviyo_fleet_reply_e
klaviyo_fleet_reply_limit(const redisReply *reply,
    klaviyo_fleet_limit_t *limit)
{
    int                     i;
    int64_t                 value[7];
    const redisReply       *r;
    klaviyo_fleet_reply_e   kind;

    static const int64_t    most[7] = {
        3600000, 3600000, KLAVIYO_FLEET_HOSTS_MAX, KLAVIYO_FLEET_HOSTS_MAX,
        KLAVIYO_FLEET_HOSTS_MAX, 0, KLAVIYO_FLEET_TIME_MAX
    };

    kind = klaviyo_fleet_reply(reply);

    if (kind != KLAVIYO_FLEET_OK) {
        return kind;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 7) {
        return KLAVIYO_FLEET_STRANGE;
    }

    for (i = 0; i < 7; i++) {
        r = reply->element[i];

        if (i == 5) {
            if (r->type != REDIS_REPLY_STRING
                || (size_t) r->len >= sizeof(limit->id))
            {
                return KLAVIYO_FLEET_STRANGE;
            }

            memcpy(limit->id, r->str, (size_t) r->len);
            limit->id[r->len] = '\0';
            continue;
        }

        if (r->type != REDIS_REPLY_INTEGER
            || r->integer < (i == 4 ? -1 : 0)
            || r->integer > most[i])
        {
            return KLAVIYO_FLEET_STRANGE;
        }

        value[i] = r->integer;
    }

    limit->wait = value[0];
    limit->pause = value[1];
    limit->hosts = (uint32_t) value[2];
    limit->silent = (uint32_t) value[3];
    limit->rank = (int32_t) value[4];
    limit->now = value[6];

    return limit->rank < 0 || (uint32_t) limit->rank < limit->hosts
           ? KLAVIYO_FLEET_OK : KLAVIYO_FLEET_STRANGE;
}


klaviyo_fleet_reply_e
klaviyo_fleet_reply_role(const redisReply *reply)
{
    const redisReply       *role;
    klaviyo_fleet_reply_e   kind;

    kind = klaviyo_fleet_reply(reply);

    if (kind != KLAVIYO_FLEET_OK) {
        return kind;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) {
        return KLAVIYO_FLEET_STRANGE;
    }

    role = reply->element[0];

    if (role->type != REDIS_REPLY_STRING) {
        return KLAVIYO_FLEET_STRANGE;
    }

    return role->len == 6 && memcmp(role->str, "master", 6) == 0
           ? KLAVIYO_FLEET_OK : KLAVIYO_FLEET_READONLY;
}


const char *
klaviyo_fleet_reply_role_words(const redisReply *reply)
{
    const redisReply  *role;

    role = reply->elements ? reply->element[0] : reply;

    return role->len == 8 && memcmp(role->str, "sentinel", 8) == 0
           ? "it is a sentinel: \"server sentinel\" and the name of the "
             "primary ask it"
           : "it is a replica: \"server\" must name the primary";
}


klaviyo_fleet_reply_e
klaviyo_fleet_reply_sentinel(const redisReply *reply,
    klaviyo_fleet_url_t *primary)
{
    size_t                  used;
    uint64_t                port;
    const redisReply       *host;
    klaviyo_fleet_reply_e   kind;

    kind = klaviyo_fleet_reply(reply);

    if (kind != KLAVIYO_FLEET_OK) {
        return kind;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2
        || reply->element[0]->type != REDIS_REPLY_STRING
        || reply->element[1]->type != REDIS_REPLY_STRING)
    {
        return KLAVIYO_FLEET_STRANGE;
    }

    host = reply->element[0];
    port = klaviyo_fleet_uint(reply->element[1]->str,
                              (size_t) reply->element[1]->len, &used);

    if (host->len == 0 || (size_t) host->len >= sizeof(primary->host)
        || memchr(host->str, '\0', (size_t) host->len) != NULL
        || port == 0 || port > 65535)
    {
        return KLAVIYO_FLEET_STRANGE;
    }

    memset(primary, 0, sizeof(klaviyo_fleet_url_t));
    memcpy(primary->host, host->str, (size_t) host->len);

    primary->port = (unsigned) port;
    primary->ipv6 = (memchr(host->str, ':', (size_t) host->len) != NULL);

    return KLAVIYO_FLEET_OK;
}


/* MOVED SLOT HOST:PORT, or ASK */

klaviyo_fleet_reply_e
klaviyo_fleet_reply_moved(const redisReply *reply, klaviyo_fleet_url_t *node,
    unsigned *ask)
{
    size_t       used;
    uint64_t     port;
    const char  *p, *end, *colon;

    if (reply->type != REDIS_REPLY_ERROR) {
        return KLAVIYO_FLEET_STRANGE;
    }

    *ask = (reply->len >= 4 && memcmp(reply->str, "ASK ", 4) == 0);

    if (!*ask && (reply->len < 6 || memcmp(reply->str, "MOVED ", 6) != 0)) {
        return KLAVIYO_FLEET_STRANGE;
    }

    p = reply->str + (*ask ? 4 : 6);
    end = reply->str + reply->len;

    p = memchr(p, ' ', (size_t) (end - p));

    if (p == NULL) {
        return KLAVIYO_FLEET_STRANGE;
    }

    p++;

    for (colon = end; colon > p && colon[-1] != ':'; colon--) { /* void */ }

    if (colon == p) {
        return KLAVIYO_FLEET_STRANGE;
    }

    port = klaviyo_fleet_uint(colon, (size_t) (end - colon), &used);
    end = colon - 1;

    if (port == 0 || port > 65535
        || (size_t) (end - p) >= sizeof(node->host)
        || memchr(p, '\0', (size_t) (end - p)) != NULL)
    {
        return KLAVIYO_FLEET_STRANGE;
    }

    memset(node, 0, sizeof(klaviyo_fleet_url_t));
    memcpy(node->host, p, (size_t) (end - p));

    node->port = (unsigned) port;
    node->ipv6 = (memchr(p, ':', (size_t) (end - p)) != NULL);

    return KLAVIYO_FLEET_OK;
}


klaviyo_fleet_reply_e
klaviyo_fleet_reply_info(const redisReply *reply, klaviyo_fleet_info_t *info)
{
    size_t                  len, n;
    const char             *p, *end;
    klaviyo_fleet_reply_e   kind;

    kind = klaviyo_fleet_reply(reply);

    if (kind != KLAVIYO_FLEET_OK) {
        return kind;
    }

    if (reply->type != REDIS_REPLY_STRING) {
        return KLAVIYO_FLEET_STRANGE;
    }

    end = reply->str + reply->len;

    p = klaviyo_fleet_line(reply->str, end, "redis_version:", &len);

    if (p != NULL) {
        info->major = (unsigned) klaviyo_fleet_uint(p, len, &n);

        if (n < len && p[n] == '.') {
            info->minor = (unsigned) klaviyo_fleet_uint(p + n + 1,
                                                        len - n - 1, &n);
        }
    }

    p = klaviyo_fleet_line(reply->str, end, "maxmemory:", &len);

    if (p != NULL) {
        info->maxmemory = klaviyo_fleet_uint(p, len, &n);
    }

    p = klaviyo_fleet_line(reply->str, end, "maxmemory_policy:", &len);

    if (p != NULL) {
        len = len < sizeof(info->policy) ? len : sizeof(info->policy) - 1;

        memcpy(info->policy, p, len);
        info->policy[len] = '\0';
    }

    return KLAVIYO_FLEET_OK;
}


const char *
klaviyo_fleet_refuse(const klaviyo_fleet_info_t *info, char *text, size_t len)
{
    size_t  i;
    char    policy[sizeof(info->policy)];

    if (info->major < KLAVIYO_FLEET_VERSION) {
        (void) snprintf(text, len, "Redis %u.%u is too old: %d.0 or newer is "
                        "needed, or any Valkey", info->major, info->minor,
                        KLAVIYO_FLEET_VERSION);
        return text;
    }

    /* without a bound nothing is evicted */

    if (info->maxmemory == 0 || strncmp(info->policy, "allkeys-", 8) != 0) {
        return NULL;
    }

    for (i = 0; info->policy[i] != '\0'; i++) {
        policy[i] = info->policy[i] >= ' ' && info->policy[i] < 0x7f
                    ? info->policy[i] : '?';
    }

    policy[i] = '\0';

    (void) snprintf(text, len, "its maxmemory-policy \"%s\" may throw away "
                    "what the hosts share: set \"noeviction\" or one of "
                    "\"volatile-...\"", policy);

    return text;
}


/* what stands behind `name` at the beginning of a line; NULL: no such line */

static const char *
klaviyo_fleet_line(const char *p, const char *end, const char *name,
    size_t *len)
{
    size_t       n;
    const char  *last;

    n = strlen(name);

    while (p < end) {
        last = memchr(p, '\n', (size_t) (end - p));
        last = last ? last : end;

        if ((size_t) (last - p) >= n && memcmp(p, name, n) == 0) {
            p += n;

            while (last > p && (last[-1] == '\r' || last[-1] == ' ')) {
                last--;
            }

            *len = (size_t) (last - p);
            return p;
        }

        p = last < end ? last + 1 : end;
    }

    return NULL;
}


static uint64_t
klaviyo_fleet_uint(const char *p, size_t len, size_t *used)
{
    size_t    i;
    uint64_t  n;

    n = 0;

    for (i = 0; i < len && i < 18 && p[i] >= '0' && p[i] <= '9'; i++) {
        n = n * 10 + (uint64_t) (p[i] - '0');
    }

    *used = i;

    return n;
}
