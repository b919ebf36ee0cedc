/*
 * The plain C of the fleet: where a Redis is, what it answers, whose turn it
 * is.  And, with the argument "vectors", what klaviyo_limiter.c does, for
 * t/fleet_script.t to compare the script with.
 */


#include <stdlib.h>

#include "tap.h"

#include "delivery/klaviyo_limiter.h"

#include "klaviyo_fleet_reply.h"
#include "klaviyo_fleet_turn.h"
#include "klaviyo_fleet_url.h"


static uint64_t  seed = 88172645463325252ULL;


static uint64_t
test_random(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;

    return seed % n;
}


/*
 * take TIME CLASS LIMIT SHARE -> until it may go, and then it does;
 * tell TIME CLASS REMAINING RESET
 */

static void
test_vectors(void)
{
    int                i, n, class;
    int64_t            now, wait, remaining, reset, step;
    unsigned           of, share, seldom;
    klaviyo_limiter_t  limiter;

    static const unsigned  limits[][3] = {
        { 1, 150, 100 }, { 0, 3500, 100 }, { 1, 700, 100 }, { 1, 150, 40 }
    };

    for (i = 0; i < 4; i++) {
        memset(&limiter, 0, sizeof(limiter));

        class = (int) limits[i][0];
        of = limits[i][1];
        share = limits[i][2];
        now = 1000000000;
        step = 2 * 61000 / (int64_t) (of * share / 100);

        printf("new\n");

        for (n = 0; n < 700; n++) {
            seldom = test_random(60) == 0;

            now += seldom ? (int64_t) test_random(70000)
                          : (int64_t) test_random((uint64_t) step);

            if (test_random(40) == 0) {
                remaining = (int64_t) test_random(30);
                reset = 1 + (int64_t) test_random(20);

                klaviyo_limiter_correct(&limiter, class, remaining, reset,
                                        now);
                printf("tell %" PRId64 " %d %" PRId64 " %" PRId64 "\n", now,
                       class, remaining, reset);
            }

            printf("take %" PRId64 " %d %u %u", now, class, of, share);

            for ( ;; ) {
                wait = klaviyo_limiter_take(&limiter, class, of, share,
                                            now);
                if (wait == 0) {
                    break;
                }

                now += wait;
            }

            printf(" %" PRId64 "\n", now);
        }
    }
}


static void
test_url(void)
{
    size_t               i;
    const char          *wrong;
    klaviyo_fleet_url_t  url;

    static const char  *bad[] = {
        "", "redis", "redis:", "redis://", "redis:///0", "http://a",
        "redis://a:", "redis://a:0", "redis://a:65536", "redis://a:6379x",
        "redis://a:6379/x", "redis://a/1/2", "redis://u:p@a", "redis://p@a",
        "redis://[::1", "redis://a b", "unix:", "unix:a", "redis://\n",
        "redis://a/99999"
    };

    wrong = klaviyo_fleet_url(&url, "redis://10.0.0.5", 16);
    ok(wrong == NULL && strcmp(url.host, "10.0.0.5") == 0 && url.port == 6379
       && url.database == 0 && !url.tls, "an address");

    wrong = klaviyo_fleet_url(&url, "rediss://r.test:7000/3", 22);
    ok(wrong == NULL && strcmp(url.host, "r.test") == 0 && url.port == 7000
       && url.database == 3 && url.tls, "TLS, a port, a database");

    wrong = klaviyo_fleet_url(&url, "redis://[::1]:7000/", 19);
    ok(wrong == NULL && strcmp(url.host, "::1") == 0 && url.port == 7000
       && url.ipv6, "IPv6");

    wrong = klaviyo_fleet_url(&url, "unix:/run/redis.sock", 20);
    ok(wrong == NULL && strcmp(url.path, "/run/redis.sock") == 0, "a socket");

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(klaviyo_fleet_url(&url, bad[i], strlen(bad[i])) != NULL,
           "refused: \"%s\"", bad[i][0] == '\0' ? "" : "...");
    }
}


static unsigned  test_ask;


static klaviyo_fleet_reply_e
test_read(const char *bytes, int what, void *out)
{
    void                   *reply;
    redisReader            *reader;
    klaviyo_fleet_reply_e   kind;

    reader = redisReaderCreate();
    reply = NULL;

    if (redisReaderFeed(reader, bytes, strlen(bytes)) != REDIS_OK
        || redisReaderGetReply(reader, &reply) != REDIS_OK)
    {
        redisReaderFree(reader);
        return KLAVIYO_FLEET_STRANGE;
    }

    kind = what == 0 ? klaviyo_fleet_reply_limit(reply, out)
           : what == 1 ? klaviyo_fleet_reply_role(reply)
           : what == 2 ? klaviyo_fleet_reply_info(reply, out)
                       : klaviyo_fleet_reply_moved(reply, out, &test_ask);

    freeReplyObject(reply);
    redisReaderFree(reader);

    return kind;
}


static void
test_reply(void)
{
    size_t                  i;
    char                    text[256];
    klaviyo_fleet_url_t     node;
    klaviyo_fleet_info_t    info;
    klaviyo_fleet_limit_t   limit;

    static const char      *moved[] = {
        "-MOVED\r\n", "-MOVED 7\r\n", "-ASK 7 a\r\n", "-ASK 7 a:0\r\n",
        "-ASK 7 a:65536\r\n", "-ASKS 7 a:1\r\n", "-TRYAGAIN 7 a:1\r\n",
        "+MOVED 7 a:1\r\n"
    };

    static const struct {
        const char             *bytes;
        klaviyo_fleet_reply_e   kind;
    } errors[] = {
        { "-NOSCRIPT No matching script.\r\n", KLAVIYO_FLEET_NOSCRIPT },
        { "-LOADING Redis is loading\r\n", KLAVIYO_FLEET_LOADING },
        { "-BUSY a script\r\n", KLAVIYO_FLEET_LOADING },
        { "-READONLY You can't write\r\n", KLAVIYO_FLEET_READONLY },
        { "-WRONGPASS invalid\r\n", KLAVIYO_FLEET_DENIED },
        { "-NOPERM this user\r\n", KLAVIYO_FLEET_DENIED },
        { "-OOM command not allowed\r\n", KLAVIYO_FLEET_FULL },
        { "-TRYAGAIN Multiple keys\r\n", KLAVIYO_FLEET_MOVES },
        { "-CLUSTERDOWN Hash slot\r\n", KLAVIYO_FLEET_MOVES },
        { "-ERR what\r\n", KLAVIYO_FLEET_REFUSED },
        { "-\r\n", KLAVIYO_FLEET_REFUSED },
        { "+OK\r\n", KLAVIYO_FLEET_STRANGE },
        { "*0\r\n", KLAVIYO_FLEET_STRANGE },
        { "*7\r\n:0\r\n:0\r\n:1\r\n:0\r\n:1\r\n$1\r\na\r\n:5\r\n",
          KLAVIYO_FLEET_STRANGE },
        { "*7\r\n:-1\r\n:0\r\n:1\r\n:0\r\n:0\r\n$1\r\na\r\n:5\r\n",
          KLAVIYO_FLEET_STRANGE },
        { "*7\r\n:0\r\n:9999999\r\n:1\r\n:0\r\n:0\r\n$1\r\na\r\n:5\r\n",
          KLAVIYO_FLEET_STRANGE },
        { "*7\r\n:0\r\n:0\r\n:1\r\n:0\r\n:0\r\n:1\r\n:5\r\n",
          KLAVIYO_FLEET_STRANGE },
        { "*7\r\n:0\r\n:0\r\n:1\r\n:0\r\n:0\r\n$24\r\n"
          "aaaaaaaaaaaaaaaaaaaaaaaa\r\n:5\r\n", KLAVIYO_FLEET_STRANGE }
    };

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        is_int(test_read(errors[i].bytes, 0, &limit), errors[i].kind,
               "reply %d", (int) i);
    }

    is_int(test_read("*7\r\n:12\r\n:7\r\n:5\r\n:1\r\n:-1\r\n$3\r\nabc\r\n"
                     ":1798675200123\r\n", 0, &limit), KLAVIYO_FLEET_OK,
           "what the script says");
    ok(limit.wait == 12 && limit.pause == 7 && limit.hosts == 5
       && limit.silent == 1 && limit.rank == -1
       && limit.now == 1798675200123 && strcmp(limit.id, "abc") == 0,
       "all of it");

    is_int(test_read("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n", 1, NULL),
           KLAVIYO_FLEET_OK, "a primary");
    is_int(test_read("*2\r\n$5\r\nslave\r\n$1\r\na\r\n", 1, NULL),
           KLAVIYO_FLEET_READONLY, "a replica");
    is_int(test_read("*1\r\n$8\r\nsentinel\r\n", 1, NULL),
           KLAVIYO_FLEET_READONLY, "a sentinel");

    is_int(test_read("-MOVED 7 10.0.0.7:6380\r\n", 3, &node),
           KLAVIYO_FLEET_OK, "another node");
    ok(strcmp(node.host, "10.0.0.7") == 0 && node.port == 6380 && !test_ask
       && !node.ipv6, "has the key");
    is_int(test_read("-ASK 7 fd00::7:6380\r\n", 3, &node), KLAVIYO_FLEET_OK,
           "another node");
    ok(strcmp(node.host, "fd00::7") == 0 && node.port == 6380 && test_ask
       && node.ipv6, "is about to get it");
    is_int(test_read("-MOVED 7 :6380\r\n", 3, &node), KLAVIYO_FLEET_OK,
           "another port");
    ok(node.host[0] == '\0' && node.port == 6380, "of the same one");

    for (i = 0; i < sizeof(moved) / sizeof(moved[0]); i++) {
        is_int(test_read(moved[i], 3, &node), KLAVIYO_FLEET_STRANGE,
               "no node %d", (int) i);
    }

    memset(&info, 0, sizeof(info));

    is_int(test_read("$54\r\n# Server\r\nredis_version:7.0.15\r\nredis_git_"
                     "sha1:000\r\nx\r\n\r\n", 2, &info), KLAVIYO_FLEET_OK,
           "INFO");
    ok(info.major == 7 && info.minor == 0, "the version: %u.%u", info.major,
       info.minor);
    ok(klaviyo_fleet_refuse(&info, text, sizeof(text)) == NULL, "will do");

    info.maxmemory = 1000;
    strcpy(info.policy, "allkeys-lru");
    ok(klaviyo_fleet_refuse(&info, text, sizeof(text)) != NULL
       && strstr(text, "noeviction") != NULL, "evicts: %s", text);

    info.maxmemory = 0;
    ok(klaviyo_fleet_refuse(&info, text, sizeof(text)) == NULL,
       "without a bound it does not");

    info.maxmemory = 1000;
    strcpy(info.policy, "volatile-lru");
    ok(klaviyo_fleet_refuse(&info, text, sizeof(text)) == NULL,
       "nor of what has no time to live");

    info.major = 5;
    ok(klaviyo_fleet_refuse(&info, text, sizeof(text)) != NULL, "%s", text);
}


static void
test_turn(void)
{
    int                   ask;
    klaviyo_fleet_turn_t  turn;

    memset(&turn, 0, sizeof(turn));

    is_int(klaviyo_fleet_turn(&turn, KLAVIYO_FLEET_TAKE, 500, 1000, &ask),
           KLAVIYO_FLEET_ASKED,
           "asked");
    is_int(ask, 1, "now");
    is_int(klaviyo_fleet_turn(&turn, KLAVIYO_FLEET_TAKE, 500, 1001, &ask),
           KLAVIYO_FLEET_ASKED,
           "still");
    is_int(ask, 0, "once");

    klaviyo_fleet_turn_answer(&turn, 300, 1100);

    is_int(klaviyo_fleet_turn(&turn, KLAVIYO_FLEET_TAKE, 500, 1150, &ask),
           250, "a ticket");
    is_int(klaviyo_fleet_turn(&turn, KLAVIYO_FLEET_TAKE, 500, 1400, &ask),
           KLAVIYO_FLEET_ASKED,
           "its time: asked again");
    is_int(ask, 1, "now");

    klaviyo_fleet_turn_answer(&turn, 0, 1410);

    is_int(klaviyo_fleet_turn(&turn, KLAVIYO_FLEET_LOOK, 500, 1420, &ask),
           0, "granted");
    is_int(klaviyo_fleet_turn(&turn, KLAVIYO_FLEET_TAKE, 500, 1420, &ask),
           0, "and taken");
    is_int(klaviyo_fleet_turn(&turn, KLAVIYO_FLEET_TAKE, 500, 1420, &ask),
           KLAVIYO_FLEET_ASKED,
           "once");

    klaviyo_fleet_turn_answer(&turn, 0, 1500);
    is_int(klaviyo_fleet_turn(&turn, KLAVIYO_FLEET_TAKE, 500, 1921, &ask),
           KLAVIYO_FLEET_ASKED,
           "a grant goes stale, from its asking on");

    klaviyo_fleet_turn_reset(&turn);
    is_int(klaviyo_fleet_turn(&turn, KLAVIYO_FLEET_NEAR, 500, 1950, &ask),
           KLAVIYO_FLEET_ASKED, "asked, but for no ticket");
    klaviyo_fleet_turn_answer(&turn, 9000, 1960);
    is_int(klaviyo_fleet_turn(&turn, KLAVIYO_FLEET_NEAR, 500, 1960, &ask),
           9000, "it would take long");
    is_int(klaviyo_fleet_turn(&turn, KLAVIYO_FLEET_LOOK, 500, 1960, &ask),
           KLAVIYO_FLEET_ASKED, "then for one");
    is_int(ask, 1, "now");

    klaviyo_fleet_turn_reset(&turn);
    klaviyo_fleet_turn_answer(&turn, 0, 2000);
    is_int(klaviyo_fleet_turn(&turn, KLAVIYO_FLEET_TAKE, 500, 2000, &ask),
           KLAVIYO_FLEET_ASKED,
           "an answer to nobody");

    is_int(klaviyo_fleet_away(1000, 1500), 1500, "not yet away");
    is_int(klaviyo_fleet_away(1000, 3000), 0, "away");
}


int
main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "vectors") == 0) {
        test_vectors();
        return 0;
    }

    test_url();
    test_reply();
    test_turn();

    return done_testing();
}
