/*
 * What is counted of an account besides single figures: distributions, and
 * events by their metric.  Part of the ring's format.
 *
 * Plain C.
 */


#ifndef KLAVIYO_TOTALS_H
#define KLAVIYO_TOTALS_H


#include <stdint.h>


#define KLAVIYO_BOUNDS_MAX      15       /* of the format                    */
#define KLAVIYO_HISTOGRAMS_MAX  8        /* the same                         */

#define KLAVIYO_METRICS         32       /* that have a line of their own    */
#define KLAVIYO_METRIC_NAME     127      /* bytes, cut at a character        */
#define KLAVIYO_METRIC_OTHERS   "(others)"  /* all without a line        */
#define KLAVIYO_METRIC_SLICES   12       /* of the last hour                 */
#define KLAVIYO_METRIC_SLICE    300000   /* ms                               */


typedef enum {
    KLAVIYO_HISTOGRAM_BATCH = 0,         /* events in a request              */
    KLAVIYO_HISTOGRAM_REQUEST,           /* ms until its answer              */
    KLAVIYO_HISTOGRAM_DELAY,             /* ms from capture to delivery      */
    KLAVIYO_HISTOGRAM_N
} klaviyo_histogram_e;


/* of the bounds, each its own; the last is of what is above all of them */

typedef struct {
    uint64_t  sum;
    uint64_t  count[KLAVIYO_BOUNDS_MAX + 1];
} klaviyo_histogram_t;


typedef struct {
    unsigned  bounds;
    uint64_t  bound[KLAVIYO_BOUNDS_MAX];
} klaviyo_bounds_t;


/* one that is read */

typedef struct {
    char      name[KLAVIYO_METRIC_NAME + 1];
    uint64_t  captured;
    uint64_t  hour;
} klaviyo_metric_t;


#endif /* KLAVIYO_TOTALS_H */
