/*
 * The queue room: an event as bytes.
 */


#include <string.h>

#include "klaviyo_crash.h"
#include "klaviyo_crc32c.h"
#include "klaviyo_record.h"


int
klaviyo_record_header(klaviyo_header_t *header, const klaviyo_event_t *event)
{
    uint32_t  crc;
    uint64_t  len;

    if (event->unique_id_len == 0
        || event->unique_id_len > KLAVIYO_UNIQUE_ID_MAX
        || event->profile_len > KLAVIYO_RECORD_MAX
        || event->attributes_len > KLAVIYO_RECORD_MAX)
    {
        return -1;
    }

    len = sizeof(klaviyo_header_t) + event->unique_id_len
          + event->profile_len + event->attributes_len;

    if (len > KLAVIYO_RECORD_MAX) {
        return -1;
    }

    memset(header, 0, sizeof(klaviyo_header_t));

    header->length = (uint32_t) klaviyo_record_align(len);
    header->profile_len = (uint32_t) event->profile_len;
    header->attributes_len = (uint32_t) event->attributes_len;
    header->time = event->time;
    header->type = KLAVIYO_RECORD_EVENT;
    header->unique_id_len = (uint8_t) event->unique_id_len;

    crc = klaviyo_crc32c(0, event->unique_id, event->unique_id_len);

    if (event->attributes == event->profile + event->profile_len) {
        crc = klaviyo_crc32c(crc, event->profile,
                             event->profile_len + event->attributes_len);

    } else {
        crc = klaviyo_crc32c(crc, event->profile, event->profile_len);
        crc = klaviyo_crc32c(crc, event->attributes, event->attributes_len);
    }

    header->payload_crc = crc;

    return 0;
}


void
klaviyo_record_put(uint8_t *p, const klaviyo_header_t *header,
    const klaviyo_event_t *event)
{
    memcpy(p, header, sizeof(klaviyo_header_t));
    p += sizeof(klaviyo_header_t);

    memcpy(p, event->unique_id, event->unique_id_len);
    p += event->unique_id_len;

    memcpy(p, event->profile, event->profile_len);
    p += event->profile_len;

    klaviyo_crash("middle_of_slot");

    memcpy(p, event->attributes, event->attributes_len);
    p += event->attributes_len;

    memset(p, 0, header->length - sizeof(klaviyo_header_t)
                 - klaviyo_record_payload_len(header));
}


size_t
klaviyo_record_payload_len(const klaviyo_header_t *header)
{
    return (size_t) header->unique_id_len + header->profile_len
           + header->attributes_len;
}


int
klaviyo_record_sane(const klaviyo_header_t *header, uint64_t available)
{
    uint64_t  len;

    len = (uint64_t) sizeof(klaviyo_header_t) + header->unique_id_len
          + header->profile_len + header->attributes_len;

    return len <= KLAVIYO_RECORD_MAX
           && header->length == klaviyo_record_align(len)
           && header->length <= available
           && header->type == KLAVIYO_RECORD_EVENT
           && header->flags == 0
           && header->reserved == 0
           && header->unique_id_len != 0;
}


uint32_t
klaviyo_record_crc(uint32_t owner, uint64_t place,
    const klaviyo_header_t *header)
{
    uint32_t  crc;

    crc = klaviyo_crc32c(owner, &place, sizeof(uint64_t));

    return klaviyo_crc32c(crc, header, offsetof(klaviyo_header_t, header_crc));
}


int
klaviyo_record_whole(const klaviyo_header_t *header, const uint8_t *payload)
{
    return klaviyo_crc32c(0, payload, klaviyo_record_payload_len(header))
           == header->payload_crc;
}


int
klaviyo_record_copy(uint8_t *buf, size_t size, const klaviyo_header_t *header,
    const uint8_t *payload)
{
    size_t  len, zeroes;

    if (header->length > size) {
        return -1;
    }

    len = klaviyo_record_payload_len(header);
    zeroes = header->length - sizeof(klaviyo_header_t) - len;

    memcpy(buf, header, sizeof(klaviyo_header_t));
    buf += sizeof(klaviyo_header_t);

    memcpy(buf, payload, len);
    memset(buf + len, 0, zeroes);

    return klaviyo_record_whole(header, buf);
}


void
klaviyo_record_read(klaviyo_record_t *record, const uint8_t *p)
{
    klaviyo_header_t  header;

    memcpy(&header, p, sizeof(klaviyo_header_t));
    p += sizeof(klaviyo_header_t);

    record->event.unique_id = p;
    record->event.unique_id_len = header.unique_id_len;
    p += header.unique_id_len;

    record->event.profile = p;
    record->event.profile_len = header.profile_len;
    p += header.profile_len;

    record->event.attributes = p;
    record->event.attributes_len = header.attributes_len;

    record->event.time = header.time;
    record->seq = header.seq;
    record->next.seq = header.seq + 1;
}
