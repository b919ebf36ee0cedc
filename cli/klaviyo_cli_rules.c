/*
 * klaviyo-queue: rules of a configuration or of a map; see the header.
 */


#define _GNU_SOURCE
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "json/klaviyo_time.h"
#include "json/klaviyo_value.h"
#include "klaviyo_cli.h"
#include "klaviyo_cli_rules.h"
#include "klaviyo_cli_words.h"


#define KLAVIYO_CLI_RULES_FILE   "# configuration file "

#define KLAVIYO_CLI_RULES_SKIP                                               \
    (1 << KLAVIYO_CLI_SKIP_HEAD | 1 << KLAVIYO_CLI_SKIP_PREFETCH             \
     | 1 << KLAVIYO_CLI_SKIP_SUBRESOURCE | 1 << KLAVIYO_CLI_SKIP_BOT         \
     | 1 << KLAVIYO_CLI_SKIP_KLA_OFF)


/* a file of `nginx -T`; of a map there is one */

typedef struct {
    char  *name;
    char  *text;
} klaviyo_cli_file_t;


/* what is being read */

typedef struct {
    klaviyo_cli_rules_t  *rules;
    klaviyo_cli_file_t   *file;
    unsigned              files;
    unsigned              nested;
    unsigned              map:1;
    const char           *name;
    klaviyo_cli_words_t  *words;
} klaviyo_cli_source_t;


static int klaviyo_cli_source_split(klaviyo_cli_source_t *source,
    const char *text, const char *file);
static void klaviyo_cli_source_free(klaviyo_cli_source_t *source);
static int klaviyo_cli_source_read(klaviyo_cli_source_t *source,
    const klaviyo_cli_file_t *file, klaviyo_cli_scope_t *scope);
static int klaviyo_cli_source_block(klaviyo_cli_source_t *source,
    klaviyo_cli_scope_t *scope);
static int klaviyo_cli_source_inner(klaviyo_cli_source_t *source,
    klaviyo_cli_scope_t *scope);
static int klaviyo_cli_source_include(klaviyo_cli_source_t *source,
    klaviyo_cli_scope_t *scope);
static void klaviyo_cli_source_skip(klaviyo_cli_source_t *source);
static int klaviyo_cli_source_line(klaviyo_cli_source_t *source,
    klaviyo_cli_scope_t *scope);
static int klaviyo_cli_source_location(klaviyo_cli_source_t *source,
    klaviyo_cli_scope_t *scope);
static int klaviyo_cli_source_event(klaviyo_cli_source_t *source,
    klaviyo_cli_scope_t *scope);
static klaviyo_cli_rule_t *klaviyo_cli_source_rule(
    klaviyo_cli_source_t *source, klaviyo_cli_scope_t *scope);
static void klaviyo_cli_source_setting(klaviyo_cli_source_t *source,
    klaviyo_cli_rule_t *rule);
static void klaviyo_cli_source_member(klaviyo_cli_source_t *source,
    klaviyo_cli_members_t *members);
static int klaviyo_cli_source_hosts(klaviyo_cli_source_t *source,
    klaviyo_cli_scope_t *scope);
static void klaviyo_cli_source_follow(klaviyo_cli_source_t *source,
    const char *end);
static void klaviyo_cli_source_close(klaviyo_cli_source_t *source);
static void klaviyo_cli_source_note(klaviyo_cli_source_t *source,
    const char *why);
static pcre2_code *klaviyo_cli_rules_regex(klaviyo_cli_source_t *source,
    const char *text, uint32_t options);
static klaviyo_cli_scope_t *klaviyo_cli_rules_scope(
    klaviyo_cli_scope_t *parent, klaviyo_cli_scope_e kind);
static void *klaviyo_cli_rules_more(void *array, unsigned n, size_t size);
static char *klaviyo_cli_rules_copy(const char *text);


const char *const  klaviyo_cli_skip_names[KLAVIYO_CLI_SKIP_N] = {
    "head",
    "prefetch",
    "subresource",
    "bot",
    "kla_off",
    "gpc",
    "dnt",
    "scanner"
};


int
klaviyo_cli_rules_read(klaviyo_cli_rules_t *rules, const char *text,
    const char *file)
{
    int                   rc;
    uint8_t               digest[EVP_MAX_MD_SIZE];
    klaviyo_cli_source_t  source;

    memset(&source, 0, sizeof(klaviyo_cli_source_t));

    source.rules = rules;
    source.map = (file != NULL);

    rules->http.identity = KLAVIYO_CLI_IDENTITY_QUERY
                           | KLAVIYO_CLI_IDENTITY_COOKIE;
    rules->http.skip = KLAVIYO_CLI_RULES_SKIP;
    rules->http.defaults = 1;
    rules->http.country = 0;

    rules->md = EVP_MD_CTX_new();

    if (rules->md == NULL
        || EVP_DigestInit_ex(rules->md, EVP_sha256(), NULL) != 1)
    {
        return klaviyo_cli_error("no memory");
    }

    rc = klaviyo_cli_source_split(&source, text, file);

    if (rc == KLAVIYO_CLI_OK && source.files) {
        rc = klaviyo_cli_source_read(&source, &source.file[0], &rules->http);
    }

    klaviyo_cli_source_free(&source);

    if (EVP_DigestFinal_ex(rules->md, digest, NULL) == 1) {
        memcpy(rules->digest, digest, KLAVIYO_CLI_RULES_DIGEST);
    }

    EVP_MD_CTX_free(rules->md);
    rules->md = NULL;

    return rc;
}


static int
klaviyo_cli_source_split(klaviyo_cli_source_t *source, const char *text,
    const char *file)
{
    size_t               len;
    const char          *p, *end, *next;
    klaviyo_cli_file_t  *last;

    len = sizeof(KLAVIYO_CLI_RULES_FILE) - 1;

    if (file) {
        source->file = klaviyo_cli_rules_more(NULL, 0,
                                              sizeof(klaviyo_cli_file_t));
        source->file[0].name = klaviyo_cli_rules_copy(file);
        source->file[0].text = klaviyo_cli_rules_copy(text);
        source->files = 1;
        return KLAVIYO_CLI_OK;
    }

    for (p = text; p; p = next) {
        next = strstr(p, "\n" KLAVIYO_CLI_RULES_FILE);
        next = next ? next + 1 : NULL;

        if (strncmp(p, KLAVIYO_CLI_RULES_FILE, len) != 0) {
            continue;
        }

        end = p + strcspn(p, "\n");

        if (*end == '\0' || end[-1] != ':') {
            continue;
        }

        source->file = klaviyo_cli_rules_more(source->file, source->files,
                                              sizeof(klaviyo_cli_file_t));
        last = &source->file[source->files++];

        last->name = strndup(p + len, (size_t) (end - p) - len - 1);
        last->text = next ? strndup(end, (size_t) (next - end))
                          : strdup(end);

        if (last->name == NULL || last->text == NULL) {
            return klaviyo_cli_error("no memory");
        }
    }

    return KLAVIYO_CLI_OK;
}


/* a key may stand in them */

static void
klaviyo_cli_source_free(klaviyo_cli_source_t *source)
{
    unsigned  i;

    for (i = 0; i < source->files; i++) {

        if (source->file[i].text) {
            explicit_bzero(source->file[i].text,
                           strlen(source->file[i].text));
        }

        free(source->file[i].name);
        free(source->file[i].text);
    }

    free(source->file);
}


static int
klaviyo_cli_source_read(klaviyo_cli_source_t *source,
    const klaviyo_cli_file_t *file, klaviyo_cli_scope_t *scope)
{
    int                   rc;
    const char           *name;
    klaviyo_cli_words_t   words, *outer;

    memset(&words, 0, sizeof(klaviyo_cli_words_t));

    words.pos = file->text;
    words.line = 1;

    if (!source->map) {
        words.line = 0;
    }

    outer = source->words;
    name = source->name;

    source->words = &words;
    source->name = file->name;

    rc = klaviyo_cli_source_block(source, scope);

    klaviyo_cli_words_free(&words);

    source->words = outer;
    source->name = name;

    return rc;
}


/* up to the end of the block, or of the file */

static int
klaviyo_cli_source_block(klaviyo_cli_source_t *source,
    klaviyo_cli_scope_t *scope)
{
    int                   rc;
    klaviyo_cli_words_t  *words;

    words = source->words;

    if (++source->nested > KLAVIYO_CLI_RULES_NEST) {
        return klaviyo_cli_error("%s:%u: too many blocks in each other",
                                 source->name, words->line);
    }

    rc = KLAVIYO_CLI_OK;

    while (rc == KLAVIYO_CLI_OK) {

        switch (klaviyo_cli_words_next(words)) {

        case KLAVIYO_CLI_WORDS_END:
        case KLAVIYO_CLI_WORDS_CLOSE:
            source->nested--;
            return KLAVIYO_CLI_OK;

        case KLAVIYO_CLI_WORDS_BLOCK:
            rc = klaviyo_cli_source_inner(source, scope);
            break;

        case KLAVIYO_CLI_WORDS_LINE:

            if (words->n) {
                rc = klaviyo_cli_source_line(source, scope);
            }

            break;
        }
    }

    return rc;
}


static int
klaviyo_cli_source_inner(klaviyo_cli_source_t *source,
    klaviyo_cli_scope_t *scope)
{
    int                   rc;
    const char           *name;
    klaviyo_cli_words_t  *words;

    words = source->words;
    name = words->n ? words->word[0] : "";

    if (strcmp(name, "http") == 0 && scope->kind == KLAVIYO_CLI_SCOPE_HTTP) {
        return klaviyo_cli_source_block(source, scope);
    }

    if (strcmp(name, "server") == 0
        && scope->kind == KLAVIYO_CLI_SCOPE_HTTP)
    {
        klaviyo_cli_source_follow(source, " {");

        rc = klaviyo_cli_source_block(source,
                                      klaviyo_cli_rules_scope(scope,
                                                  KLAVIYO_CLI_SCOPE_SERVER));
        klaviyo_cli_source_close(source);

        return rc;
    }

    if (strcmp(name, "location") == 0
        && scope->kind != KLAVIYO_CLI_SCOPE_HTTP
        && words->n > 1)
    {
        return klaviyo_cli_source_location(source, scope);
    }

    if (strcmp(name, "klaviyo_event") == 0 && words->n > 1) {
        return klaviyo_cli_source_event(source, scope);
    }

    klaviyo_cli_source_skip(source);

    return KLAVIYO_CLI_OK;
}


/* what is in it is not followed; rules in there are told of */

static void
klaviyo_cli_source_skip(klaviyo_cli_source_t *source)
{
    unsigned             depth, account;
    klaviyo_cli_words_e  rc;

    account = (source->words->n
               && strcmp(source->words->word[0], "klaviyo_account") == 0);

    for (depth = 1; depth; ) {
        rc = klaviyo_cli_words_next(source->words);

        if (rc == KLAVIYO_CLI_WORDS_END) {
            return;
        }

        if (rc != KLAVIYO_CLI_WORDS_CLOSE
            && source->words->n
            && !account
            && klaviyo_cli_words_rule(source->words->word[0]))
        {
            klaviyo_cli_source_note(source, "it stands in a block that is not "
                                    "followed");
        }

        if (rc == KLAVIYO_CLI_WORDS_BLOCK) {
            depth++;
        }

        if (rc == KLAVIYO_CLI_WORDS_CLOSE) {
            depth--;
        }
    }
}


static int
klaviyo_cli_source_include(klaviyo_cli_source_t *source,
    klaviyo_cli_scope_t *scope)
{
    int                  rc;
    char                 pattern[PATH_MAX];
    size_t               len;
    unsigned             i;
    const char          *slash;
    klaviyo_cli_file_t  *file;

    /* relative to the file that includes all others */

    slash = strrchr(source->file[0].name, '/');
    len = slash ? (size_t) (slash + 1 - source->file[0].name) : 0;

    if (source->words->word[1][0] == '/') {
        len = 0;
    }

    if ((size_t) snprintf(pattern, sizeof(pattern), "%.*s%s", (int) len,
                          source->file[0].name, source->words->word[1])
        >= sizeof(pattern))
    {
        return KLAVIYO_CLI_OK;
    }

    if (source->nested >= KLAVIYO_CLI_RULES_NEST) {
        return klaviyo_cli_error("%s:%u: too many files include each other",
                                 source->name, source->words->line);
    }

    for (i = 0; i < source->files; i++) {
        file = &source->file[i];

        if (fnmatch(pattern, file->name, FNM_PATHNAME|FNM_PERIOD) != 0) {
            continue;
        }

        rc = klaviyo_cli_source_read(source, file, scope);

        if (rc != KLAVIYO_CLI_OK) {
            return rc;
        }
    }

    return KLAVIYO_CLI_OK;
}


static int
klaviyo_cli_source_line(klaviyo_cli_source_t *source,
    klaviyo_cli_scope_t *scope)
{
    int                    i, bit;
    unsigned               n;
    const char            *name, *value;
    klaviyo_cli_rules_t   *rules;
    klaviyo_cli_words_t   *words;
    klaviyo_cli_cookie_t  *cookie;

    words = source->words;
    rules = source->rules;

    name = words->word[0];
    value = (words->n > 1) ? words->word[1] : "";

    if (strcmp(name, "include") == 0 && words->n == 2 && !source->map) {
        return klaviyo_cli_source_include(source, scope);
    }

    if (strcmp(name, "server_name") == 0) {
        return klaviyo_cli_source_hosts(source, scope);
    }

    if (source->map && strcmp(name, "field") == 0) {

        if (words->n != 3 || rules->names.n == KLAVIYO_CLI_LOG_NAMES) {
            return klaviyo_cli_error("%s:%u: a field is \"field <name of a "
                                     "variable> <member>;\", at most %u of "
                                     "them", source->name, words->line,
                                     KLAVIYO_CLI_LOG_NAMES);
        }

        rules->name[rules->names.n].field
            = klaviyo_cli_rules_copy(value + (value[0] == '$'));
        rules->name[rules->names.n].member
            = klaviyo_cli_rules_copy(words->word[2]);
        rules->names.name = rules->name;
        rules->names.n++;

    } else if (strcmp(name, "klaviyo_track") == 0 && words->n > 1) {

        if (words->n == 2 && strcmp(value, "off") == 0) {
            scope->off = 1;

        } else {
            (void) klaviyo_cli_source_rule(source, scope);
        }

    } else if (strcmp(name, "klaviyo_profile") == 0 && words->n > 2) {
        klaviyo_cli_source_member(source, &scope->profile);

    } else if (strcmp(name, "klaviyo_property") == 0 && words->n > 2) {
        klaviyo_cli_source_member(source, &scope->property);

    } else if (strcmp(name, "klaviyo_identity") == 0) {
        scope->identity = 0;

        for (n = 1; n < words->n; n++) {
            scope->identity |= strcmp(words->word[n], "query") == 0
                               ? KLAVIYO_CLI_IDENTITY_QUERY
                               : strcmp(words->word[n], "cookie") == 0
                                 ? KLAVIYO_CLI_IDENTITY_COOKIE : 0;
        }

    } else if (strcmp(name, "klaviyo_skip") == 0) {
        scope->skip = 0;

        for (n = 1; n < words->n; n++) {
            for (i = 0; i < KLAVIYO_CLI_SKIP_N; i++) {
                bit = (strcmp(words->word[n], klaviyo_cli_skip_names[i]) == 0);
                scope->skip |= bit << i;
            }
        }

    } else if (strcmp(name, "klaviyo_defaults") == 0) {
        scope->defaults = (strcmp(value, "on") == 0);

    } else if (strcmp(name, "klaviyo_consent") == 0) {
        scope->consent = klaviyo_cli_rules_copy(strcmp(value, "off") == 0
                                                ? "" : value);

    } else if (strcmp(name, "klaviyo_consent_string") == 0) {

        /* what a consent cookie says is not asked here: so it says no */

        if (strcmp(value, "off") != 0) {
            scope->consent = klaviyo_cli_rules_copy("$klaviyo_consent_string");
        }

    } else if (strcmp(name, "klaviyo_account_default") == 0) {
        scope->account = klaviyo_cli_rules_copy(value);

    } else if (strcmp(name, "klaviyo_phone_country") == 0) {
        scope->country = atoi(value);

    } else if (strcmp(name, "klaviyo_cookie") == 0 && words->n == 3) {
        rules->cookie = klaviyo_cli_rules_more(rules->cookie, rules->cookies,
                                               sizeof(klaviyo_cli_cookie_t));
        cookie = &rules->cookie[rules->cookies++];
        cookie->variable = klaviyo_cli_rules_copy(value + 1);
        cookie->name = klaviyo_cli_rules_copy(words->word[2]);

    } else {

        if (klaviyo_cli_words_rule(name)) {
            klaviyo_cli_source_note(source, "what it does cannot be done from "
                                    "a log");

        } else if (source->map && strncmp(name, "klaviyo_", 8) != 0) {
            return klaviyo_cli_error("%s:%u: unknown word \"%s\" in a map",
                                     source->name, words->line, name);
        }

        return KLAVIYO_CLI_OK;
    }

    klaviyo_cli_source_follow(source, ";");

    return KLAVIYO_CLI_OK;
}


static int
klaviyo_cli_source_location(klaviyo_cli_source_t *source,
    klaviyo_cli_scope_t *scope)
{
    int                   rc;
    const char           *name, *mark;
    klaviyo_cli_words_t  *words;
    klaviyo_cli_scope_t  *location;

    words = source->words;

    klaviyo_cli_source_follow(source, " {");

    location = klaviyo_cli_rules_scope(scope, KLAVIYO_CLI_SCOPE_PREFIX);

    mark = words->word[1];
    name = (words->n > 2) ? words->word[2] : mark;

    /* the mark may be written together with the name */

    if (words->n == 2) {

        if (strncmp(mark, "~*", 2) == 0 || strncmp(mark, "^~", 2) == 0) {
            name += 2;

        } else if (mark[0] == '=' || mark[0] == '~') {
            name += 1;
        }
    }

    if (mark[0] == '=') {
        location->kind = KLAVIYO_CLI_SCOPE_EXACT;

    } else if (strncmp(mark, "^~", 2) == 0) {
        location->kind = KLAVIYO_CLI_SCOPE_FIRST;

    } else if (mark[0] == '~') {
        location->kind = KLAVIYO_CLI_SCOPE_REGEX;
        location->regex = klaviyo_cli_rules_regex(source, name,
                                                  mark[1] == '*'
                                                  ? PCRE2_CASELESS : 0);
        if (location->regex == NULL) {
            return KLAVIYO_CLI_CANNOT;
        }

    } else if (name[0] == '@') {
        location->kind = KLAVIYO_CLI_SCOPE_NAMED;
    }

    location->name = klaviyo_cli_rules_copy(name);

    rc = klaviyo_cli_source_block(source, location);

    klaviyo_cli_source_close(source);

    return rc;
}


static int
klaviyo_cli_source_event(klaviyo_cli_source_t *source,
    klaviyo_cli_scope_t *scope)
{
    klaviyo_cli_words_e  rc;
    klaviyo_cli_rule_t  *rule;

    rule = klaviyo_cli_source_rule(source, scope);

    klaviyo_cli_source_follow(source, " {");
    source->nested++;

    for ( ;; ) {
        rc = klaviyo_cli_words_next(source->words);

        if (rc == KLAVIYO_CLI_WORDS_CLOSE || rc == KLAVIYO_CLI_WORDS_END) {
            break;
        }

        if (source->words->n > 1) {
            klaviyo_cli_source_setting(source, rule);
        }
    }

    source->nested--;
    klaviyo_cli_source_close(source);

    return KLAVIYO_CLI_OK;
}


static klaviyo_cli_rule_t *
klaviyo_cli_source_rule(klaviyo_cli_source_t *source,
    klaviyo_cli_scope_t *scope)
{
    unsigned              n;
    const char           *word;
    klaviyo_cli_rule_t   *rule;
    klaviyo_cli_words_t  *words;

    words = source->words;

    scope->rule = klaviyo_cli_rules_more(scope->rule, scope->rules,
                                         sizeof(klaviyo_cli_rule_t));
    rule = &scope->rule[scope->rules++];

    memset(rule, 0, sizeof(klaviyo_cli_rule_t));

    rule->metric = klaviyo_cli_rules_copy(words->word[1]);

    for (n = 2; n < words->n; n++) {
        word = words->word[n];

        if (strcmp(word, "view") == 0 || strcmp(word, "status=view") == 0) {
            rule->view = 1;

        } else if (strncmp(word, "if=", 3) == 0) {
            rule->condition = klaviyo_cli_rules_copy(word + 3);

        } else if (strncmp(word, "status=", 7) == 0) {
            rule->status = klaviyo_cli_rules_copy(word + 7);

        } else if (strncmp(word, "account=", 8) == 0) {
            rule->account = klaviyo_cli_rules_copy(word + 8);

        } else if (strncmp(word, "page=", 5) == 0) {
            rule->page = 1;
            klaviyo_cli_source_note(source, "no log says what a page is of");
        }
    }

    return rule;
}


static void
klaviyo_cli_source_setting(klaviyo_cli_source_t *source,
    klaviyo_cli_rule_t *rule)
{
    unsigned              n;
    const char           *name, *word;
    klaviyo_cli_words_t  *words;

    words = source->words;
    name = words->word[0];

    if (strcmp(name, "profile") == 0 && words->n > 2) {
        klaviyo_cli_source_member(source, &rule->profile);

    } else if (strcmp(name, "property") == 0 && words->n > 2) {
        klaviyo_cli_source_member(source, &rule->property);

    } else if (strcmp(name, "value") == 0) {
        rule->amount = klaviyo_cli_rules_copy(words->word[1]);

        for (n = 2; n < words->n; n++) {
            word = words->word[n];

            if (strcmp(word, "minor") == 0) {
                rule->minor = 1;

            } else if (strncmp(word, "decimal=", 8) == 0) {
                rule->decimal = (uint8_t) word[8];

            } else {
                rule->currency = klaviyo_cli_rules_copy(word);
            }
        }

    } else if (strcmp(name, "unique_id") == 0) {
        rule->unique_id = klaviyo_cli_rules_copy(words->word[1]);

    } else if (strcmp(name, "time") == 0) {
        rule->time = klaviyo_cli_rules_copy(words->word[1]);

        if (words->n > 2 && strncmp(words->word[2], "zone=", 5) == 0) {
            word = words->word[2] + 5;
            (void) klaviyo_value_zone((const uint8_t *) word, strlen(word),
                                      &rule->zone);
        }

    } else {
        return;
    }

    klaviyo_cli_source_follow(source, ";");
}


static void
klaviyo_cli_source_member(klaviyo_cli_source_t *source,
    klaviyo_cli_members_t *members)
{
    unsigned               n;
    const char            *type;
    klaviyo_cli_words_t   *words;
    klaviyo_cli_member_t  *member;

    static const char *const  types[] = { "string", "number", "bool", "list",
                                          "json", NULL };

    words = source->words;
    type = (words->n > 3) ? words->word[words->n - 1] : "";

    if (strcmp(type, "append") == 0 || strcmp(type, "unappend") == 0
        || strcmp(type, "unset") == 0)
    {
        klaviyo_cli_source_note(source, "what was done to a profile then is "
                                "not done again");
        return;
    }

    members->member = klaviyo_cli_rules_more(members->member, members->n,
                                             sizeof(klaviyo_cli_member_t));
    member = &members->member[members->n++];

    member->name = klaviyo_cli_rules_copy(words->word[1]);
    member->value = klaviyo_cli_rules_copy(words->word[2]);
    member->type = KLAVIYO_VALUE_STRING;

    for (n = 0; types[n]; n++) {
        if (strcmp(type, types[n]) == 0) {
            member->type = (klaviyo_value_type_e) n;
        }
    }
}


static int
klaviyo_cli_source_hosts(klaviyo_cli_source_t *source,
    klaviyo_cli_scope_t *scope)
{
    unsigned              n;
    klaviyo_cli_host_t   *host;
    klaviyo_cli_words_t  *words;

    words = source->words;

    if (scope->kind != KLAVIYO_CLI_SCOPE_SERVER) {
        return KLAVIYO_CLI_OK;
    }

    for (n = 1; n < words->n; n++) {
        scope->host = klaviyo_cli_rules_more(scope->host, scope->hosts,
                                             sizeof(klaviyo_cli_host_t));
        host = &scope->host[scope->hosts++];

        host->name = klaviyo_cli_rules_copy(words->word[n]);
        host->regex = NULL;

        if (host->name[0] == '~') {
            host->regex = klaviyo_cli_rules_regex(source, host->name + 1,
                                                  PCRE2_CASELESS);
            if (host->regex == NULL) {
                return KLAVIYO_CLI_CANNOT;
            }
        }
    }

    klaviyo_cli_source_follow(source, ";");

    return KLAVIYO_CLI_OK;
}


/* it counts in the digest, and stands in the map */

static void
klaviyo_cli_source_follow(klaviyo_cli_source_t *source, const char *end)
{
    unsigned              i;
    const char           *p;
    klaviyo_cli_words_t  *words;

    words = source->words;

    for (i = 0; i < words->n; i++) {
        (void) EVP_DigestUpdate(source->rules->md, words->word[i],
                                strlen(words->word[i]) + 1);
    }

    (void) EVP_DigestUpdate(source->rules->md, end, strlen(end) + 1);

    if (source->rules->print == NULL) {
        return;
    }

    (void) fprintf(source->rules->print, "%*s",
                   4 * ((int) source->nested - !source->map - 1), "");

    for (i = 0; i < words->n; i++) {
        p = words->word[i];

        if (i) {
            (void) fputc(' ', source->rules->print);
        }

        if (p[0] && p[strcspn(p, " \t\r\n;{}\"'\\#")] == '\0') {
            (void) fputs(p, source->rules->print);
            continue;
        }

        (void) fputc('"', source->rules->print);

        for ( /* void */ ; *p; p++) {

            if (*p == '"' || (*p == '\\' && (p[1] == '\\' || p[1] == '"'
                                             || p[1] == '\'')))
            {
                (void) fputc('\\', source->rules->print);
            }

            (void) fputc(*p, source->rules->print);
        }

        (void) fputc('"', source->rules->print);
    }

    (void) fprintf(source->rules->print, "%s\n", end);
}


static void
klaviyo_cli_source_close(klaviyo_cli_source_t *source)
{
    (void) EVP_DigestUpdate(source->rules->md, "}", 2);

    if (source->rules->print) {
        (void) fprintf(source->rules->print, "%*s}\n",
                       4 * ((int) source->nested - !source->map - 1), "");
    }
}


static void
klaviyo_cli_source_note(klaviyo_cli_source_t *source, const char *why)
{
    source->rules->notes++;

    if (source->rules->print) {
        (void) fprintf(source->rules->print, "%*s# %s \"%s\": %s\n",
                       4 * ((int) source->nested - !source->map - 1), "",
                       source->words->word[0],
                       source->words->n > 1 ? source->words->word[1] : "",
                       why);

    } else if (source->rules->tell) {
        (void) klaviyo_cli_error("%s:%u: \"%s\" is not followed: %s",
                                 source->name, source->words->line,
                                 source->words->word[0], why);
    }
}


static pcre2_code *
klaviyo_cli_rules_regex(klaviyo_cli_source_t *source, const char *text,
    uint32_t options)
{
    int          code;
    size_t       offset;
    PCRE2_UCHAR  message[128];
    pcre2_code  *regex;

    regex = pcre2_compile((PCRE2_SPTR) text, PCRE2_ZERO_TERMINATED, options,
                          &code, &offset, NULL);

    if (regex == NULL) {
        (void) pcre2_get_error_message(code, message, sizeof(message));
        (void) klaviyo_cli_error("%s:%u: \"%s\" is no regular expression: %s",
                                 source->name, source->words->line, text,
                                 (char *) message);
    }

    return regex;
}


static klaviyo_cli_scope_t *
klaviyo_cli_rules_scope(klaviyo_cli_scope_t *parent, klaviyo_cli_scope_e kind)
{
    klaviyo_cli_scope_t  *scope;

    scope = calloc(1, sizeof(klaviyo_cli_scope_t));

    parent->child = klaviyo_cli_rules_more(parent->child, parent->children,
                                           sizeof(klaviyo_cli_scope_t *));

    if (scope == NULL) {
        exit(klaviyo_cli_error("no memory"));
    }

    parent->child[parent->children++] = scope;

    scope->parent = parent;
    scope->kind = kind;
    scope->identity = -1;
    scope->skip = -1;
    scope->defaults = -1;
    scope->country = -1;

    return scope;
}


/* room for one more behind n; it doubles */

static void *
klaviyo_cli_rules_more(void *array, unsigned n, size_t size)
{
    if (n & (n - 1)) {
        return array;
    }

    array = realloc(array, (n ? 2 * n : 1) * size);

    if (array == NULL) {
        exit(klaviyo_cli_error("no memory"));
    }

    return array;
}


static char *
klaviyo_cli_rules_copy(const char *text)
{
    char  *copy;

    copy = strdup(text);

    if (copy == NULL) {
        exit(klaviyo_cli_error("no memory"));
    }

    return copy;
}
