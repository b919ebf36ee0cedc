/*
 * Turns that are asked for; see the header and klaviyo_fleet_turn.h.
 *
 *     connected    AUTH ... ─▶ beat ─▶ (what it sent by itself: beat) ─▶ turns
 *     each second  beat, or another try to connect
 */


#include "ngx_http_klaviyo_fleet_limits.h"
#include "ngx_http_klaviyo_fleet_command.h"
#include "ngx_http_klaviyo_fleet_queue.h"
#include "ngx_http_klaviyo_fleet_redis.h"

#include "delivery/klaviyo_limiter.h"
#include "delivery/klaviyo_slot.h"

#include "klaviyo_fleet_script.h"
#include "klaviyo_fleet_turn.h"


#define NGX_HTTP_KLAVIYO_FLEET_TICK    1000   /* ms                          */
#define NGX_HTTP_KLAVIYO_FLEET_FRESH   1000   /* ms, the age of a grant      */
#define NGX_HTTP_KLAVIYO_FLEET_AGAIN   60     /* s between lines of the log  */
#define NGX_HTTP_KLAVIYO_FLEET_REPLY   65536  /* bytes, at most              */


typedef enum {
    NGX_HTTP_KLAVIYO_FLEET_TAG_TURN = 0,      /* and of the other class      */
    NGX_HTTP_KLAVIYO_FLEET_TAG_BEAT = KLAVIYO_LIMITER_N,
    NGX_HTTP_KLAVIYO_FLEET_TAG_TOLD,          /* a beat with what was sent   */
    NGX_HTTP_KLAVIYO_FLEET_TAG_OTHER
} ngx_http_klaviyo_fleet_tag_e;


typedef struct {
    ngx_http_klaviyo_fleet_conf_t        *conf;
    ngx_http_klaviyo_fleet_lane_t        *lane;
    ngx_http_klaviyo_fleet_redis_t       *redis;

    ngx_str_t                             key[2];

    klaviyo_fleet_turn_t                  turn[KLAVIYO_LIMITER_N];
    int64_t                               contact;  /* when an answer came,
                                                       or we began           */
    int64_t                               paused_until;
    ngx_uint_t                            hosts;    /* as last told of       */

    ngx_event_t                           tick;
    ngx_connection_t                      dummy;

    time_t                                logged;   /* the last line         */
    ngx_uint_t                            held;     /* lines since           */

    unsigned                              ready:1;  /* turns are asked for   */
    unsigned                              was:1;    /* ready, and told of    */
    unsigned                              text:1;   /* the script is not
                                                       known: send it all    */
} ngx_http_klaviyo_fleet_limits_t;


static void *ngx_http_klaviyo_fleet_limits_find(ngx_cycle_t *cycle,
    ngx_str_t *name);
static void *ngx_http_klaviyo_fleet_limits_open(void *fleet,
    ngx_http_klaviyo_fleet_lane_t *lane);
static void ngx_http_klaviyo_fleet_limits_close(void *data);
static int64_t ngx_http_klaviyo_fleet_limits_turn(void *data, unsigned class,
    ngx_uint_t how, int64_t now);
static void ngx_http_klaviyo_fleet_limits_correct(void *data, unsigned class,
    int64_t remaining, int64_t reset);
static void ngx_http_klaviyo_fleet_limits_pause(void *data, int64_t ms);
static int64_t ngx_http_klaviyo_fleet_limits_paused(void *data);

static void ngx_http_klaviyo_fleet_limits_tick(ngx_event_t *ev);
static void ngx_http_klaviyo_fleet_limits_ready(void *data);
static void ngx_http_klaviyo_fleet_limits_answer(void *data, ngx_uint_t tag,
    const redisReply *reply);
static void ngx_http_klaviyo_fleet_limits_lost(void *data, const char *reason,
    ngx_uint_t refused);
static void ngx_http_klaviyo_fleet_limits_place(
    ngx_http_klaviyo_fleet_limits_t *limits, klaviyo_fleet_limit_t *limit,
    int64_t now);
static ngx_int_t ngx_http_klaviyo_fleet_limits_beat(
    ngx_http_klaviyo_fleet_limits_t *limits, ngx_uint_t tell, int64_t since);
static void ngx_http_klaviyo_fleet_limits_ages(
    ngx_http_klaviyo_fleet_command_t *command,
    const klaviyo_limiter_lane_t *lane, unsigned class, int64_t since,
    int64_t now);
static void ngx_http_klaviyo_fleet_limits_begin(
    ngx_http_klaviyo_fleet_limits_t *limits,
    ngx_http_klaviyo_fleet_command_t *command, const char *op);
static ngx_int_t ngx_http_klaviyo_fleet_limits_send(
    ngx_http_klaviyo_fleet_limits_t *limits,
    ngx_http_klaviyo_fleet_command_t *command, ngx_uint_t tag);
static void ngx_http_klaviyo_fleet_limits_log(
    ngx_http_klaviyo_fleet_limits_t *limits, ngx_uint_t level,
    const char *reason);
static int64_t ngx_http_klaviyo_fleet_limits_now(void);


const ngx_http_klaviyo_fleet_ops_t  ngx_http_klaviyo_fleet_ops = {
    NGX_HTTP_KLAVIYO_FLEET_ABI,
    NGX_HTTP_KLAVIYO_VERSION,
    ngx_http_klaviyo_fleet_limits_find,
    ngx_http_klaviyo_fleet_limits_open,
    ngx_http_klaviyo_fleet_limits_close,
    ngx_http_klaviyo_fleet_limits_turn,
    ngx_http_klaviyo_fleet_limits_correct,
    ngx_http_klaviyo_fleet_limits_pause,
    ngx_http_klaviyo_fleet_limits_paused,
    ngx_http_klaviyo_fleet_queue_open,
    ngx_http_klaviyo_fleet_queue_close,
    ngx_http_klaviyo_fleet_queue_call
};


static const ngx_http_klaviyo_fleet_redis_handlers_t
    ngx_http_klaviyo_fleet_limits_handlers =
{
    ngx_http_klaviyo_fleet_limits_ready,
    ngx_http_klaviyo_fleet_limits_answer,
    ngx_http_klaviyo_fleet_limits_lost
};


static ngx_http_klaviyo_fleet_script_t  ngx_http_klaviyo_fleet_limits_script;


void
ngx_http_klaviyo_fleet_limits_init_process(void)
{
    ngx_http_klaviyo_fleet_limits_script.text = klaviyo_fleet_script;
    ngx_http_klaviyo_fleet_limits_script.len = klaviyo_fleet_script_len;

    ngx_http_klaviyo_fleet_script_init(&ngx_http_klaviyo_fleet_limits_script);
}


static void *
ngx_http_klaviyo_fleet_limits_find(ngx_cycle_t *cycle, ngx_str_t *name)
{
    ngx_http_klaviyo_fleet_main_conf_t  *fmcf;

    fmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_klaviyo_fleet_module);

    return fmcf ? ngx_http_klaviyo_fleet_find(fmcf, name) : NULL;
}


static void *
ngx_http_klaviyo_fleet_limits_open(void *fleet,
    ngx_http_klaviyo_fleet_lane_t *lane)
{
    ngx_http_klaviyo_fleet_limits_t     *limits;
    ngx_http_klaviyo_fleet_main_conf_t  *fmcf;

    limits = ngx_calloc(sizeof(ngx_http_klaviyo_fleet_limits_t), lane->log);
    if (limits == NULL) {
        return NULL;
    }

    fmcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_klaviyo_fleet_module);

    limits->conf = fleet;
    limits->lane = lane;
    limits->contact = ngx_http_klaviyo_fleet_limits_now();

    limits->dummy.fd = (ngx_socket_t) -1;
    limits->dummy.data = limits;

    limits->tick.handler = ngx_http_klaviyo_fleet_limits_tick;
    limits->tick.data = &limits->dummy;
    limits->tick.log = lane->log;
    limits->tick.cancelable = 1;

    if (ngx_http_klaviyo_fleet_key(&limits->key[0], &lane->name, "limit",
                                   &lane->lane, lane->log)
        != NGX_OK
        || ngx_http_klaviyo_fleet_key(&limits->key[1], &lane->name, "beat",
                                      &lane->lane, lane->log)
           != NGX_OK)
    {
        goto failed;
    }

    limits->redis = ngx_http_klaviyo_fleet_redis_create(limits->conf,
                               fmcf->hook,
                               &ngx_http_klaviyo_fleet_limits_handlers,
                               limits, &limits->key[0],
                               NGX_HTTP_KLAVIYO_FLEET_REPLY,
                               lane->log);
    if (limits->redis == NULL) {
        goto failed;
    }

    lane->figures->connected = 0;

    ngx_add_timer(&limits->tick, 1);

    return limits;

failed:

    ngx_http_klaviyo_fleet_limits_close(limits);

    return NULL;
}


/*
 * Nothing on the network is waited for: if what is said does not get there,
 * the others see by the silence.
 */

static void
ngx_http_klaviyo_fleet_limits_close(void *data)
{
    ngx_http_klaviyo_fleet_limits_t  *limits = data;

    ngx_http_klaviyo_fleet_command_t  command;

    if (limits->ready) {
        ngx_http_klaviyo_fleet_limits_begin(limits, &command, "bye");

        (void) ngx_http_klaviyo_fleet_limits_send(limits, &command,
                                              NGX_HTTP_KLAVIYO_FLEET_TAG_OTHER);
        ngx_http_klaviyo_fleet_redis_flush(limits->redis);
    }

    if (limits->redis) {
        limits->lane->figures->connected = 0;
        ngx_http_klaviyo_fleet_redis_destroy(limits->redis);
    }

    if (limits->tick.timer_set) {
        ngx_del_timer(&limits->tick);
    }

    if (limits->key[0].data) {
        ngx_free(limits->key[0].data);
    }

    if (limits->key[1].data) {
        ngx_free(limits->key[1].data);
    }

    ngx_free(limits);
}


static int64_t
ngx_http_klaviyo_fleet_limits_turn(void *data, unsigned class,
    ngx_uint_t how, int64_t now)
{
    ngx_http_klaviyo_fleet_limits_t  *limits = data;

    int                                ask;
    int64_t                            wait;
    ngx_http_klaviyo_fleet_command_t   command;

    if (!limits->ready) {
        wait = klaviyo_fleet_away(limits->contact, now);

        return wait ? wait : NGX_HTTP_KLAVIYO_FLEET_AWAY;
    }

    wait = klaviyo_fleet_turn(&limits->turn[class], how,
                              ngx_min(limits->conf->answer_timeout,
                                      NGX_HTTP_KLAVIYO_FLEET_FRESH),
                              now, &ask);

    if (ask) {
        ngx_http_klaviyo_fleet_limits_begin(limits, &command, "take");
        ngx_http_klaviyo_fleet_command_number(&command, class);
        ngx_http_klaviyo_fleet_command_number(&command,
                                              limits->lane->limit[class]);
        ngx_http_klaviyo_fleet_command_number(&command, limits->lane->share);
        ngx_http_klaviyo_fleet_command_number(&command,
                                              how == KLAVIYO_FLEET_NEAR);

        if (ngx_http_klaviyo_fleet_limits_send(limits, &command,
                                               NGX_HTTP_KLAVIYO_FLEET_TAG_TURN
                                               + class)
            != NGX_OK)
        {
            klaviyo_fleet_turn_reset(&limits->turn[class]);
            return NGX_HTTP_KLAVIYO_FLEET_TICK;
        }

        limits->lane->figures->asked++;
    }

    if (wait == 0 && how == KLAVIYO_FLEET_TAKE) {
        limits->lane->figures->granted++;
    }

    return wait;
}


static void
ngx_http_klaviyo_fleet_limits_correct(void *data, unsigned class,
    int64_t remaining, int64_t reset)
{
    ngx_http_klaviyo_fleet_limits_t  *limits = data;

    ngx_http_klaviyo_fleet_command_t  command;

    if (!limits->ready || remaining < 0) {
        return;
    }

    if (reset < 0 || reset > KLAVIYO_LIMITER_WINDOW / 1000) {
        reset = KLAVIYO_LIMITER_WINDOW / 1000;
    }

    ngx_http_klaviyo_fleet_limits_begin(limits, &command, "tell");
    ngx_http_klaviyo_fleet_command_number(&command, class);
    ngx_http_klaviyo_fleet_command_number(&command, remaining);
    ngx_http_klaviyo_fleet_command_number(&command, reset * 1000);

    (void) ngx_http_klaviyo_fleet_limits_send(limits, &command,
                                              NGX_HTTP_KLAVIYO_FLEET_TAG_OTHER);
}


static void
ngx_http_klaviyo_fleet_limits_pause(void *data, int64_t ms)
{
    ngx_http_klaviyo_fleet_limits_t  *limits = data;

    int64_t                           until;
    ngx_uint_t                        i;
    ngx_http_klaviyo_fleet_command_t  command;

    until = ngx_http_klaviyo_fleet_limits_now() + ms;
    limits->paused_until = ngx_max(limits->paused_until, until);

    for (i = 0; i < KLAVIYO_LIMITER_N; i++) {
        if (limits->turn[i].state != KLAVIYO_FLEET_TURN_ASKED) {
            klaviyo_fleet_turn_reset(&limits->turn[i]);
        }
    }

    /* else when it is connected again */

    if (limits->ready) {
        ngx_http_klaviyo_fleet_limits_begin(limits, &command, "pause");
        ngx_http_klaviyo_fleet_command_number(&command, ms);

        (void) ngx_http_klaviyo_fleet_limits_send(limits, &command,
                                              NGX_HTTP_KLAVIYO_FLEET_TAG_OTHER);
    }
}


static int64_t
ngx_http_klaviyo_fleet_limits_paused(void *data)
{
    ngx_http_klaviyo_fleet_limits_t  *limits = data;

    return limits->paused_until;
}


static void
ngx_http_klaviyo_fleet_limits_tick(ngx_event_t *ev)
{
    ngx_connection_t                 *dummy;
    ngx_http_klaviyo_fleet_limits_t  *limits;

    dummy = ev->data;
    limits = dummy->data;

    ngx_add_timer(ev, NGX_HTTP_KLAVIYO_FLEET_TICK);

    if (ngx_http_klaviyo_fleet_redis_idle(limits->redis)) {
        ngx_http_klaviyo_fleet_redis_connect(limits->redis);
        return;
    }

    if (limits->ready) {
        (void) ngx_http_klaviyo_fleet_limits_beat(limits, 0, 0);
    }
}


/* first what it knows of us; turns are asked for when it knows all */

static void
ngx_http_klaviyo_fleet_limits_ready(void *data)
{
    ngx_http_klaviyo_fleet_limits_t  *limits = data;

    if (ngx_http_klaviyo_fleet_limits_beat(limits, 0, 0) != NGX_OK) {
        ngx_http_klaviyo_fleet_redis_lose(limits->redis, "no memory");
    }
}


static void
ngx_http_klaviyo_fleet_limits_answer(void *data, ngx_uint_t tag,
    const redisReply *reply)
{
    ngx_http_klaviyo_fleet_limits_t  *limits = data;

    char                             text[256];
    int64_t                          now, since;
    ngx_uint_t                       other;
    klaviyo_fleet_limit_t            limit;
    klaviyo_fleet_reply_e            kind;
    ngx_http_klaviyo_fleet_place_t  *place;

    now = ngx_http_klaviyo_fleet_limits_now();
    place = limits->lane->place;

    kind = klaviyo_fleet_reply_limit(reply, &limit);

    if (kind == KLAVIYO_FLEET_NOSCRIPT && !limits->text) {

        /* once with its text: then Redis knows it */

        limits->text = 1;

        if (tag < KLAVIYO_LIMITER_N) {
            klaviyo_fleet_turn_reset(&limits->turn[tag]);
            ngx_post_event(limits->lane->wake, &ngx_posted_events);

        } else if (!limits->ready) {
            ngx_http_klaviyo_fleet_limits_ready(limits);

        } else if (now < limits->paused_until) {
            ngx_http_klaviyo_fleet_limits_pause(limits,
                                                limits->paused_until - now);
        }

        return;
    }

    if (kind == KLAVIYO_FLEET_NOSCRIPT) {

        /* sent before its text was */

        if (tag < KLAVIYO_LIMITER_N) {
            klaviyo_fleet_turn_reset(&limits->turn[tag]);
        }

        return;
    }

    if (kind != KLAVIYO_FLEET_OK) {
        ngx_http_klaviyo_fleet_redis_lose(limits->redis,
                                          klaviyo_fleet_reply_words(kind,
                                                       reply, text,
                                                       sizeof(text)));
        return;
    }

    limits->text = 0;
    limits->contact = now;

    if (limit.pause) {
        limits->paused_until = ngx_max(limits->paused_until,
                                       now + limit.pause);
    }

    if (tag < KLAVIYO_LIMITER_N) {
        klaviyo_fleet_turn_answer(&limits->turn[tag], limit.wait, now);
        ngx_post_event(limits->lane->wake, &ngx_posted_events);
        return;
    }

    if (tag == NGX_HTTP_KLAVIYO_FLEET_TAG_OTHER) {
        return;
    }

    ngx_http_klaviyo_fleet_limits_place(limits, &limit, now);

    if (limits->ready) {
        return;
    }

    other = ngx_strcmp(place->id, limit.id) != 0;

    if (tag == NGX_HTTP_KLAVIYO_FLEET_TAG_BEAT && (other || place->alone)) {
        since = other ? now - KLAVIYO_LIMITER_SPAN : place->alone;

        if (ngx_http_klaviyo_fleet_limits_beat(limits, 1, since) != NGX_OK) {
            ngx_http_klaviyo_fleet_redis_lose(limits->redis, "no memory");
        }

        return;
    }

    (void) ngx_cpystrn((u_char *) place->id, (u_char *) limit.id,
                       sizeof(place->id));
    place->alone = 0;

    limits->ready = 1;
    limits->lane->figures->connected = 1;

    if (now < limits->paused_until) {
        ngx_http_klaviyo_fleet_limits_pause(limits,
                                            limits->paused_until - now);
    }

    if (limits->logged || !limits->was) {
        ngx_log_error(NGX_LOG_NOTICE, limits->lane->log, 0,
                      "klaviyo account \"%V\": shares its limits by fleet "
                      "\"%V\", %ui hosts",
                      limits->lane->account, &limits->conf->name,
                      (ngx_uint_t) limit.hosts);
        limits->logged = 0;
        limits->was = 1;
    }

    ngx_post_event(limits->lane->wake, &ngx_posted_events);
}


/* among the hosts, as they are by this beat */

static void
ngx_http_klaviyo_fleet_limits_place(ngx_http_klaviyo_fleet_limits_t *limits,
    klaviyo_fleet_limit_t *limit, int64_t now)
{
    ngx_http_klaviyo_fleet_place_t  *place;

    place = limits->lane->place;

    place->clock = limit->now - now;

    if (limit->rank >= 0) {
        place->hosts = limit->hosts;
        place->rank = (uint32_t) limit->rank;
    }

    limits->lane->figures->hosts = limit->hosts;
    limits->lane->figures->silent = limit->silent;
}


static void
ngx_http_klaviyo_fleet_limits_lost(void *data, const char *reason,
    ngx_uint_t refused)
{
    ngx_http_klaviyo_fleet_limits_t  *limits = data;

    ngx_uint_t  i;

    limits->ready = 0;
    limits->text = 0;
    limits->lane->figures->connected = 0;
    limits->lane->figures->errors++;

    for (i = 0; i < KLAVIYO_LIMITER_N; i++) {
        klaviyo_fleet_turn_reset(&limits->turn[i]);
    }

    ngx_http_klaviyo_fleet_limits_log(limits, refused ? NGX_LOG_ERR
                                                      : NGX_LOG_WARN, reason);

    ngx_post_event(limits->lane->wake, &ngx_posted_events);
}


/* with `tell` and what this host sent since then */

static ngx_int_t
ngx_http_klaviyo_fleet_limits_beat(ngx_http_klaviyo_fleet_limits_t *limits,
    ngx_uint_t tell, int64_t since)
{
    int64_t                            now;
    ngx_uint_t                         i, tag;
    ngx_http_klaviyo_fleet_place_t    *place;
    ngx_http_klaviyo_fleet_command_t   command;

    place = limits->lane->place;
    now = ngx_http_klaviyo_fleet_limits_now();

    ngx_http_klaviyo_fleet_limits_begin(limits, &command, "beat");

    ngx_http_klaviyo_fleet_command_number(&command,
                                          ((int64_t) ngx_random() << 16)
                                          ^ ngx_pid ^ now);
    ngx_http_klaviyo_fleet_command_number(&command, place->hosts);
    ngx_http_klaviyo_fleet_command_text(&command, place->id,
                                        ngx_strlen(place->id));

    for (i = 0; tell && i < KLAVIYO_LIMITER_N; i++) {
        ngx_http_klaviyo_fleet_limits_ages(&command,
                                           &limits->lane->limiter->lane[i], i,
                                           since, now);
    }

    tag = tell ? NGX_HTTP_KLAVIYO_FLEET_TAG_TOLD
               : NGX_HTTP_KLAVIYO_FLEET_TAG_BEAT;

    return ngx_http_klaviyo_fleet_limits_send(limits, &command, tag);
}


/* what the limiter of this host has in its log; see klaviyo_limiter.c */

static void
ngx_http_klaviyo_fleet_limits_ages(ngx_http_klaviyo_fleet_command_t *command,
    const klaviyo_limiter_lane_t *lane, unsigned class, int64_t since,
    int64_t now)
{
    int       count;
    uint64_t  i, entries;

    if (lane->grain == 0) {
        return;
    }

    entries = ngx_min(lane->n / lane->grain + (lane->n % lane->grain != 0),
                      KLAVIYO_LIMITER_LOG);

    ngx_http_klaviyo_fleet_command_number(command, class);
    ngx_http_klaviyo_fleet_command_number(command, (int64_t) lane->grain);

    count = command->argc;
    ngx_http_klaviyo_fleet_command_number(command, 0);

    for (i = 0; i < entries; i++) {
        if (lane->sent[i] >= since
            && lane->sent[i] > now - KLAVIYO_LIMITER_SPAN)
        {
            ngx_http_klaviyo_fleet_command_number(command,
                                        ngx_max(now - lane->sent[i], 0));
        }
    }

    /* how many came behind it */

    command->len[count] = ngx_sprintf((u_char *) command->argv[count], "%d",
                                      command->argc - count - 1)
                          - (u_char *) command->argv[count];
}


static void
ngx_http_klaviyo_fleet_limits_begin(ngx_http_klaviyo_fleet_limits_t *limits,
    ngx_http_klaviyo_fleet_command_t *command, const char *op)
{
    ngx_http_klaviyo_fleet_command_begin(command,
                                        &ngx_http_klaviyo_fleet_limits_script,
                                        limits->text, limits->key, 2, op);

    ngx_http_klaviyo_fleet_command_text(command, limits->lane->uuid,
                                        NGX_HTTP_KLAVIYO_FLEET_UUID);
}


static ngx_int_t
ngx_http_klaviyo_fleet_limits_send(ngx_http_klaviyo_fleet_limits_t *limits,
    ngx_http_klaviyo_fleet_command_t *command, ngx_uint_t tag)
{
    return ngx_http_klaviyo_fleet_redis_send(limits->redis, command->argc,
                                             command->argv, command->len, tag);
}


/* at most a line a minute */

static void
ngx_http_klaviyo_fleet_limits_log(ngx_http_klaviyo_fleet_limits_t *limits,
    ngx_uint_t level, const char *reason)
{
    time_t    now;
    uint32_t  hosts;

    now = ngx_time();
    hosts = limits->lane->place->hosts;
    hosts = hosts ? hosts : KLAVIYO_SLOT_UNKNOWN;

    if (limits->logged && now - limits->logged < NGX_HTTP_KLAVIYO_FLEET_AGAIN)
    {
        limits->held++;
        return;
    }

    ngx_log_error(level, limits->lane->log, 0,
                  "klaviyo account \"%V\": fleet \"%V\" at \"%V\" is away: "
                  "%s; delivery goes on by itself, at one part in %uD of the "
                  "limits; %ui such lines were held back",
                  limits->lane->account, &limits->conf->name,
                  &limits->conf->server, reason, hosts, limits->held);

    limits->logged = now;
    limits->held = 0;
}


static int64_t
ngx_http_klaviyo_fleet_limits_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_BOOTTIME, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
