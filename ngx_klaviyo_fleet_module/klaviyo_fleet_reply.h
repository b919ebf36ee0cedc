/*
 * What Redis answers, checked and put into structs.  Plain C; of hiredis only
 * the reader and its replies.
 */


#ifndef KLAVIYO_FLEET_REPLY_H
#define KLAVIYO_FLEET_REPLY_H


#include <stdint.h>
#include <stddef.h>

#include <hiredis/hiredis.h>

#include "klaviyo_fleet_url.h"


#define KLAVIYO_FLEET_ID_MAX     24


typedef enum {
    KLAVIYO_FLEET_OK = 0,
    KLAVIYO_FLEET_NOSCRIPT,      /* send the text                           */
    KLAVIYO_FLEET_LOADING,       /* wait: LOADING, MASTERDOWN, BUSY         */
    KLAVIYO_FLEET_READONLY,      /* a replica, or a sentinel                */
    KLAVIYO_FLEET_DENIED,        /* WRONGPASS, NOAUTH, NOPERM               */
    KLAVIYO_FLEET_FULL,          /* OOM                                     */
    KLAVIYO_FLEET_MOVES,         /* TRYAGAIN, MOVED, ASK, CLUSTERDOWN       */
    KLAVIYO_FLEET_REFUSED,       /* another error                           */
    KLAVIYO_FLEET_STRANGE        /* not what was asked for                  */
} klaviyo_fleet_reply_e;


/* the script's, see klaviyo_fleet_script.h */

typedef struct {
    int64_t   wait;              /* ms                                      */
    int64_t   pause;
    int64_t   now;
    uint32_t  hosts;
    uint32_t  silent;
    int32_t   rank;              /* -1: not known now                       */
    char      id[KLAVIYO_FLEET_ID_MAX];
} klaviyo_fleet_limit_t;


typedef struct {
    unsigned  major;
    unsigned  minor;
    uint64_t  maxmemory;         /* bytes, 0: no bound                      */
    char      policy[32];
} klaviyo_fleet_info_t;


/* an error's kind; OK: it is none */
klaviyo_fleet_reply_e klaviyo_fleet_reply(const redisReply *reply);

/* why a script that was answered so failed; `text` may be used for it */
const char *klaviyo_fleet_reply_words(klaviyo_fleet_reply_e kind,
    const redisReply *reply, char *text, size_t len);

klaviyo_fleet_reply_e klaviyo_fleet_reply_limit(const redisReply *reply,
    klaviyo_fleet_limit_t *limit);

/* ROLE; READONLY: it is no primary */
klaviyo_fleet_reply_e klaviyo_fleet_reply_role(const redisReply *reply);

/* how `server` is to be written, of an answer to ROLE that is READONLY */
const char *klaviyo_fleet_reply_role_words(const redisReply *reply);

/* a sentinel's: where the primary is */
klaviyo_fleet_reply_e klaviyo_fleet_reply_sentinel(const redisReply *reply,
    klaviyo_fleet_url_t *primary);

/*
 * An error of a Cluster: which node has the key; no host: the same one.  *ask:
 * it is about to get it, and answers what comes behind an ASKING.
 */
klaviyo_fleet_reply_e klaviyo_fleet_reply_moved(const redisReply *reply,
    klaviyo_fleet_url_t *node, unsigned *ask);

/* INFO server, or INFO memory: what it says of either is set */
klaviyo_fleet_reply_e klaviyo_fleet_reply_info(const redisReply *reply,
    klaviyo_fleet_info_t *info);

/*
 * NULL, or why such a Redis cannot be used and what to do, in words, which
 * are put into `text`
 */
const char *klaviyo_fleet_refuse(const klaviyo_fleet_info_t *info, char *text,
    size_t len);


#endif /* KLAVIYO_FLEET_REPLY_H */
