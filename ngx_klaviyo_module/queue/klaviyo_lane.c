/*
 * The table of lanes.  Room: queue, plain C.
 *
 * Facts: "Bulk Create Events", "Bulk Import Profiles" and "Bulk Subscribe
 * Profiles" of Klaviyo's API; of the last one's two steady windows, 750 in the
 * reference and 700 in the guide, the narrower.
 */


#include <string.h>

#include "klaviyo_lane.h"


const klaviyo_lane_t  klaviyo_lanes[KLAVIYO_LANE_N] = {

    { .name = "events",
      .single = "/api/events",
      .path = "/api/event-bulk-create-jobs",
      .limit = 150 },

    { .name = "profiles",
      .path = "/api/profile-bulk-import-jobs",
      .head = "\"type\":\"profile-bulk-import-job\",",
      .list = { "\"relationships\":{\"lists\":{\"data\":[{\"type\":\"list\","
                "\"id\":", "}]}}," },
      .limit = 150 },

    { .name = "subscriptions",
      .path = "/api/profile-subscription-bulk-create-jobs",
      .head = "\"type\":\"profile-subscription-bulk-create-job\",",
      .list = { "\"relationships\":{\"list\":{\"data\":{\"type\":\"list\","
                "\"id\":", "}}}," },
      .limit = 700,
      .max_age = 60 * 60,
      .later = 1,
      .guarded = 1 }
};


const klaviyo_lane_t *
klaviyo_lane_of(const klaviyo_event_t *event)
{
    size_t      len;
    unsigned    i;

    for (i = 1; i < KLAVIYO_LANE_N; i++) {
        len = strlen(klaviyo_lanes[i].head);

        if (event->attributes_len >= len
            && memcmp(event->attributes, klaviyo_lanes[i].head, len) == 0)
        {
            return &klaviyo_lanes[i];
        }
    }

    return &klaviyo_lanes[KLAVIYO_LANE_EVENTS];
}


const klaviyo_lane_t *
klaviyo_lane_at(const char *path)
{
    unsigned     i;
    const char  *dot;

    dot = strrchr(path, '.');

    for (i = 1; dot != NULL && i < KLAVIYO_LANE_N; i++) {

        if (strcmp(dot + 1, klaviyo_lanes[i].name) == 0) {
            return &klaviyo_lanes[i];
        }
    }

    return &klaviyo_lanes[KLAVIYO_LANE_EVENTS];
}
