/*
 * The queue room: the names of the figures, made of the tables in
 * klaviyo_figures.h, so that a figure and its name cannot part.
 *
 * Plain C.
 */


#include <string.h>

#include "klaviyo_figures.h"


#define klaviyo_figure_name(constant, group, name)  { group, name },


const klaviyo_figure_name_t  klaviyo_outcome_names[] = {
    KLAVIYO_OUTCOMES(klaviyo_figure_name)
};


const klaviyo_figure_name_t  klaviyo_counter_names[] = {
    KLAVIYO_COUNTERS(klaviyo_figure_name)
};


static const struct {
    const char  *name;
    const char  *words;
} klaviyo_skipped[] = {
    { "anonymous", "visitors without an identity" },
    { "condition", "the condition of \"if=\" was not so" },
    { "status", "the answer had another status" },
    { "metric", "the metric was empty or too long" },
    { "too_large", "the event was larger than Klaviyo takes" },
    { "too_many_properties", "more properties than Klaviyo takes" },
    { "profile_too_large", "the profile was larger than Klaviyo takes" },
    { "no_memory", "no memory was left" },
    { "head", "HEAD requests" },
    { "prefetch", "pages that a browser fetched in advance" },
    { "subresource", "images, styles and other parts of pages" },
    { "bot", "robots" },
    { "scanner", "scanners of links in mail" },
    { "kla_off", "visitors who switched it off in Klaviyo" },
    { "gpc", "visitors who ask not to be sold (Sec-GPC)" },
    { "dnt", "visitors who ask not to be tracked (DNT)" },
    { "consent", "visitors without consent" },
    { "header", "the application's header held no event" },
    { "cached", "the application's header came from a cache" },
    { "no_header", "nothing was named in the application's header" },
    { "klaviyo_track_json", "a variable of events held none" },
    { "unsigned", "calls that no sender signed" },
    { "location", "rules of a location that the request only passed" },
    { "account", "no account has the name that a variable gave" },
    { "page", "pages of another type than \"page=\" asks for" },
    { "no_page", "answers of which no page was read" },
    { "list", "a variable held no id of a list" },
    { NULL, NULL }
};


const char *
klaviyo_skipped_words(const char *name)
{
    unsigned  i;

    for (i = 0; klaviyo_skipped[i].name; i++) {
        if (strcmp(klaviyo_skipped[i].name, name) == 0) {
            return klaviyo_skipped[i].words;
        }
    }

    return name;
}
