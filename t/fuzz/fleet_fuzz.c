/*
 * What Redis answers, whole or in pieces, and where it is: the first byte says
 * which of these the others are.  What is read stays within its bounds.
 */


#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "klaviyo_fleet_reply.h"
#include "klaviyo_fleet_url.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* as in ngx_http_klaviyo_fleet_redis.c: no memory for what is only named */

#if (HIREDIS_MAJOR >= 1)
typedef size_t  test_elements_t;
#else
typedef int     test_elements_t;
#endif

static void *(*test_array_next)(const redisReadTask *, test_elements_t);


static void *
test_array(const redisReadTask *task, test_elements_t elements)
{
    return elements > 64 ? NULL : test_array_next(task, elements);
}


static void
test_reply(int kind, const redisReply *reply)
{
    char                    text[64];
    unsigned                ask;
    const char             *why;
    klaviyo_fleet_url_t     primary;
    klaviyo_fleet_info_t    info;
    klaviyo_fleet_limit_t   limit;

    memset(&info, 0, sizeof(info));

    switch (kind % 4) {

    case 0:
        if (klaviyo_fleet_reply_limit(reply, &limit) != KLAVIYO_FLEET_OK) {
            return;
        }

        if (limit.wait < 0 || limit.wait > 3600000 || limit.pause < 0
            || limit.pause > 3600000 || limit.now < 0
            || (limit.rank >= 0 && (uint32_t) limit.rank >= limit.hosts)
            || memchr(limit.id, '\0', sizeof(limit.id)) == NULL)
        {
            abort();
        }

        return;

    case 1:
        (void) klaviyo_fleet_reply_role(reply);
        return;

    case 2:
        if ((klaviyo_fleet_reply_sentinel(reply, &primary) == KLAVIYO_FLEET_OK
             || klaviyo_fleet_reply_moved(reply, &primary, &ask)
                == KLAVIYO_FLEET_OK)
            && (memchr(primary.host, '\0', sizeof(primary.host)) == NULL
                || primary.port == 0 || primary.port > 65535))
        {
            abort();
        }

        return;

    default:
        (void) klaviyo_fleet_reply_info(reply, &info);
        why = klaviyo_fleet_refuse(&info, text, sizeof(text));

        if (why != NULL && memchr(why, '\0', sizeof(text)) == NULL) {
            abort();
        }
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                         kind;
    size_t                      n, piece;
    void                       *reply;
    redisReader                *reader;
    klaviyo_fleet_url_t         url;
    redisReplyObjectFunctions   functions;

    if (size < 2) {
        return 0;
    }

    if (data[0] == 'u') {
        if (klaviyo_fleet_url(&url, (const char *) data + 1, size - 1) == NULL
            && (memchr(url.host, '\0', sizeof(url.host)) == NULL
                || memchr(url.path, '\0', sizeof(url.path)) == NULL
                || (url.path[0] == '\0' && url.host[0] == '\0'
                    && data[1] != 'r')
                || url.port == 0 || url.port > 65535))
        {
            abort();
        }

        return 0;
    }

    reader = redisReaderCreate();
    if (reader == NULL) {
        return 0;
    }

    functions = *reader->fn;
    test_array_next = functions.createArray;
    functions.createArray = test_array;
    reader->fn = &functions;

    kind = data[0] & 0x7f;
    piece = (data[0] & 0x80) ? 7 : size;

    for (data++, size--; size; data += n, size -= n) {
        n = size < piece ? size : piece;

        if (redisReaderFeed(reader, (const char *) data, n) != REDIS_OK) {
            break;
        }

        for ( ;; ) {
            reply = NULL;

            if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
                redisReaderFree(reader);
                return 0;
            }

            if (reply == NULL) {
                break;
            }

            test_reply(kind, reply);
            freeReplyObject(reply);
        }
    }

    redisReaderFree(reader);

    return 0;
}
