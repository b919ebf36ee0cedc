/*
 * The queue room: the names of the figures, made of the tables in
 * klaviyo_figures.h, so that a figure and its name cannot part.
 *
 * Plain C.
 */


#include "klaviyo_figures.h"


#define klaviyo_figure_name(constant, group, name)  { group, name },


const klaviyo_figure_name_t  klaviyo_outcome_names[] = {
    KLAVIYO_OUTCOMES(klaviyo_figure_name)
};


const klaviyo_figure_name_t  klaviyo_counter_names[] = {
    KLAVIYO_COUNTERS(klaviyo_figure_name)
};
