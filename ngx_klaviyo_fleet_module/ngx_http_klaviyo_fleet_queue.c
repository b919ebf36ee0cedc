/*
 * The connection for the shared queue; see the header.  What is called first
 * after it is there carries the script's text: then Redis knows it.
 */


#include "ngx_http_klaviyo_fleet_queue.h"
#include "ngx_http_klaviyo_fleet_command.h"
#include "ngx_http_klaviyo_fleet_redis.h"

#include "klaviyo_fleet_queue_script.h"


#define NGX_HTTP_KLAVIYO_FLEET_TICK   1000    /* ms                          */
#define NGX_HTTP_KLAVIYO_FLEET_AGAIN  60      /* s between lines of the log  */
#define NGX_HTTP_KLAVIYO_FLEET_KEYS   4

/* packs that are pulled at once: half a megabyte, and one as large as can be */
#define NGX_HTTP_KLAVIYO_FLEET_REPLY  (8 * 1024 * 1024)

#define NGX_HTTP_KLAVIYO_FLEET_VALUES  128    /* of an answer                */


typedef struct {
    ngx_http_klaviyo_fleet_conf_t        *conf;
    ngx_http_klaviyo_fleet_queue_t       *queue;
    ngx_http_klaviyo_fleet_redis_t       *redis;
    ngx_str_t                             key[NGX_HTTP_KLAVIYO_FLEET_KEYS];

    ngx_event_t                           tick;
    ngx_connection_t                      dummy;

    time_t                                logged;   /* the last line         */
    ngx_uint_t                            held;     /* lines since           */

    unsigned                              ready:1;
    unsigned                              known:1;  /* the script is         */
} ngx_http_klaviyo_fleet_line_t;


static void ngx_http_klaviyo_fleet_queue_tick(ngx_event_t *ev);
static void ngx_http_klaviyo_fleet_queue_ready(void *data);
static void ngx_http_klaviyo_fleet_queue_answer(void *data, ngx_uint_t tag,
    const redisReply *reply);
static void ngx_http_klaviyo_fleet_queue_lost(void *data, const char *reason,
    ngx_uint_t refused);


static const ngx_http_klaviyo_fleet_redis_handlers_t
    ngx_http_klaviyo_fleet_queue_handlers =
{
    ngx_http_klaviyo_fleet_queue_ready,
    ngx_http_klaviyo_fleet_queue_answer,
    ngx_http_klaviyo_fleet_queue_lost
};


static const char  *ngx_http_klaviyo_fleet_queue_keys[] = {
    "q", "hosts", "state", "dead"
};


#define ngx_http_klaviyo_fleet_op_name(constant, name)  name,

static const char  *ngx_http_klaviyo_fleet_queue_ops[] = {
    NGX_HTTP_KLAVIYO_FLEET_OPS(ngx_http_klaviyo_fleet_op_name)
};


static ngx_http_klaviyo_fleet_script_t  ngx_http_klaviyo_fleet_queue_script;


void
ngx_http_klaviyo_fleet_queue_init_process(void)
{
    ngx_http_klaviyo_fleet_queue_script.text = klaviyo_fleet_queue_script;
    ngx_http_klaviyo_fleet_queue_script.len = klaviyo_fleet_queue_script_len;

    ngx_http_klaviyo_fleet_script_init(&ngx_http_klaviyo_fleet_queue_script);
}


void *
ngx_http_klaviyo_fleet_queue_open(void *fleet,
    ngx_http_klaviyo_fleet_queue_t *queue)
{
    ngx_uint_t                           i;
    ngx_http_klaviyo_fleet_line_t        *line;
    ngx_http_klaviyo_fleet_main_conf_t  *fmcf;

    line = ngx_calloc(sizeof(ngx_http_klaviyo_fleet_line_t), queue->log);
    if (line == NULL) {
        return NULL;
    }

    fmcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_klaviyo_fleet_module);

    line->conf = fleet;
    line->queue = queue;

    line->dummy.fd = (ngx_socket_t) -1;
    line->dummy.data = line;

    line->tick.handler = ngx_http_klaviyo_fleet_queue_tick;
    line->tick.data = &line->dummy;
    line->tick.log = queue->log;
    line->tick.cancelable = 1;

    for (i = 0; i < NGX_HTTP_KLAVIYO_FLEET_KEYS; i++) {
        if (ngx_http_klaviyo_fleet_key(&line->key[i], &queue->name,
                                       ngx_http_klaviyo_fleet_queue_keys[i],
                                       &queue->lane, queue->log)
            != NGX_OK)
        {
            ngx_http_klaviyo_fleet_queue_close(line);
            return NULL;
        }
    }

    line->redis = ngx_http_klaviyo_fleet_redis_create(line->conf, fmcf->hook,
                                   &ngx_http_klaviyo_fleet_queue_handlers,
                                   line, &line->key[1],
                                   NGX_HTTP_KLAVIYO_FLEET_REPLY,
                                   queue->log);
    if (line->redis == NULL) {
        ngx_http_klaviyo_fleet_queue_close(line);
        return NULL;
    }

    ngx_add_timer(&line->tick, 1);

    return line;
}


void
ngx_http_klaviyo_fleet_queue_close(void *data)
{
    ngx_http_klaviyo_fleet_line_t  *line = data;

    ngx_uint_t                       i;
    ngx_http_klaviyo_fleet_redis_t  *redis;

    redis = line->redis;

    if (redis) {
        line->redis = NULL;

        if (line->ready) {
            line->ready = 0;
            ngx_http_klaviyo_fleet_redis_flush(redis);
        }

        ngx_http_klaviyo_fleet_redis_destroy(redis);
    }

    if (line->tick.timer_set) {
        ngx_del_timer(&line->tick);
    }

    for (i = 0; i < NGX_HTTP_KLAVIYO_FLEET_KEYS; i++) {
        if (line->key[i].data) {
            ngx_free(line->key[i].data);
        }
    }

    ngx_free(line);
}


ngx_int_t
ngx_http_klaviyo_fleet_queue_call(void *data, ngx_http_klaviyo_fleet_op_e op,
    const ngx_http_klaviyo_fleet_value_t *value, ngx_uint_t n)
{
    ngx_http_klaviyo_fleet_line_t  *line = data;

    ngx_uint_t                         i;
    ngx_http_klaviyo_fleet_command_t   command;

    if (!line->ready) {
        return NGX_BUSY;
    }

    ngx_http_klaviyo_fleet_command_begin(&command,
                                         &ngx_http_klaviyo_fleet_queue_script,
                                         !line->known, line->key,
                                         NGX_HTTP_KLAVIYO_FLEET_KEYS,
                                         ngx_http_klaviyo_fleet_queue_ops[op]);

    for (i = 0; i < n; i++) {

        if (value[i].text.data) {
            ngx_http_klaviyo_fleet_command_text(&command, value[i].text.data,
                                                value[i].text.len);

        } else {
            ngx_http_klaviyo_fleet_command_number(&command, value[i].number);
        }
    }

    return ngx_http_klaviyo_fleet_redis_send(line->redis, command.argc,
                                             command.argv, command.len, op);
}


static void
ngx_http_klaviyo_fleet_queue_tick(ngx_event_t *ev)
{
    ngx_connection_t              *dummy;
    ngx_http_klaviyo_fleet_line_t  *line;

    dummy = ev->data;
    line = dummy->data;

    ngx_add_timer(ev, NGX_HTTP_KLAVIYO_FLEET_TICK);

    if (ngx_http_klaviyo_fleet_redis_idle(line->redis)) {
        ngx_http_klaviyo_fleet_redis_connect(line->redis);
    }
}


static void
ngx_http_klaviyo_fleet_queue_ready(void *data)
{
    ngx_http_klaviyo_fleet_line_t  *line = data;

    line->ready = 1;
    line->known = 0;

    if (line->logged) {
        ngx_log_error(NGX_LOG_NOTICE, line->queue->log, 0,
                      "klaviyo account \"%V\": the queue of fleet \"%V\" is "
                      "back", line->queue->account, &line->conf->name);
        line->logged = 0;
    }

    line->queue->ready(line->queue->data);
}


static void
ngx_http_klaviyo_fleet_queue_answer(void *data, ngx_uint_t tag,
    const redisReply *reply)
{
    ngx_http_klaviyo_fleet_line_t  *line = data;

    char                             text[256];
    size_t                           i;
    klaviyo_fleet_reply_e            kind;
    ngx_http_klaviyo_fleet_value_t   value[NGX_HTTP_KLAVIYO_FLEET_VALUES];

    kind = klaviyo_fleet_reply(reply);

    if (kind != KLAVIYO_FLEET_OK || reply->type != REDIS_REPLY_ARRAY
        || (size_t) reply->elements > NGX_HTTP_KLAVIYO_FLEET_VALUES)
    {
        ngx_http_klaviyo_fleet_redis_lose(line->redis,
                                kind == KLAVIYO_FLEET_OK
                                ? "its script gives no such answer"
                                : klaviyo_fleet_reply_words(kind, reply, text,
                                                            sizeof(text)));
        return;
    }

    line->known = 1;

    for (i = 0; i < (size_t) reply->elements; i++) {
        ngx_str_null(&value[i].text);
        value[i].number = 0;

        switch (reply->element[i]->type) {

        case REDIS_REPLY_INTEGER:
            value[i].number = reply->element[i]->integer;
            break;

        case REDIS_REPLY_STRING:
            value[i].text.data = (u_char *) reply->element[i]->str;
            value[i].text.len = (size_t) reply->element[i]->len;
            break;

        default:
            ngx_http_klaviyo_fleet_redis_lose(line->redis, "its script gives "
                                              "no such answer");
            return;
        }
    }

    line->queue->answer(line->queue->data, tag, value, i);
}


static void
ngx_http_klaviyo_fleet_queue_lost(void *data, const char *reason,
    ngx_uint_t refused)
{
    ngx_http_klaviyo_fleet_line_t  *line = data;

    time_t      now;
    ngx_uint_t  level;

    line->ready = 0;
    now = ngx_time();

    if (line->logged && now - line->logged < NGX_HTTP_KLAVIYO_FLEET_AGAIN) {
        line->held++;

    } else {
        level = refused ? NGX_LOG_ERR : NGX_LOG_WARN;

        ngx_log_error(level, line->queue->log, 0,
                      "klaviyo account \"%V\": the queue of fleet \"%V\" at "
                      "\"%V\" is away: %s; events stay in that of their "
                      "host; %ui such lines were held back",
                      line->queue->account, &line->conf->name,
                      &line->conf->server, reason, line->held);

        line->logged = now;
        line->held = 0;
    }

    line->queue->lost(line->queue->data);
}
