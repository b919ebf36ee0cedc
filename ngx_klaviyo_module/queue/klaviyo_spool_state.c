/*
 * The queue room: the state of a spool, two slots of which one stands.
 *
 * Plain C; may touch the state file.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "klaviyo_crash.h"
#include "klaviyo_crc32c.h"
#include "klaviyo_spool_state.h"


static int klaviyo_spool_slot_good(const klaviyo_spool_slot_t *slot,
    uint64_t i);


static uint32_t
klaviyo_spool_slot_crc(const klaviyo_spool_slot_t *slot)
{
    return klaviyo_crc32c(0, slot, offsetof(klaviyo_spool_slot_t, crc));
}


klaviyo_spool_state_e
klaviyo_spool_state_load(int fd, klaviyo_spool_slot_t *slot)
{
    ssize_t               n;
    unsigned              found, magic, version;
    uint64_t              i;
    struct stat           st;
    klaviyo_spool_slot_t  read;

    static const klaviyo_spool_slot_t  zeroes;

    found = 0;
    magic = 0;
    version = 0;

    if (fstat(fd, &st) == -1) {
        return KLAVIYO_SPOOL_STATE_ERROR;
    }

    for (i = 0; i < 2; i++) {
        memset(&read, 0, sizeof(klaviyo_spool_slot_t));

        n = klaviyo_file_read(fd, &read, sizeof(klaviyo_spool_slot_t),
                              (off_t) (i * KLAVIYO_SPOOL_BLOCK));

        /* a slot that the disk does not give back is a bad one */

        if (n == -1 && errno != EIO) {
            return KLAVIYO_SPOOL_STATE_ERROR;
        }

        if (n == -1) {
            magic = 1;
            continue;
        }

        if (memcmp(&read, &zeroes, sizeof(klaviyo_spool_slot_t)) == 0) {
            continue;
        }

        if (memcmp(read.magic, KLAVIYO_SPOOL_STATE_MAGIC, 8) == 0) {
            magic = 1;
            version |= (read.version != KLAVIYO_SPOOL_VERSION);

        } else {
            magic |= (st.st_size == KLAVIYO_SPOOL_STATE_SIZE);
        }

        if (klaviyo_spool_slot_good(&read, i)
            && (!found || read.generation > slot->generation))
        {
            *slot = read;
            found = 1;
        }
    }

    if (found) {
        return KLAVIYO_SPOOL_STATE_GOOD;
    }

    if (version) {
        return KLAVIYO_SPOOL_STATE_VERSION;
    }

    if (magic) {
        return KLAVIYO_SPOOL_STATE_CORRUPT;
    }

    if (st.st_size == 0 || st.st_size == KLAVIYO_SPOOL_STATE_SIZE) {
        return KLAVIYO_SPOOL_STATE_NEW;
    }

    return KLAVIYO_SPOOL_STATE_OTHER;
}


static int
klaviyo_spool_slot_good(const klaviyo_spool_slot_t *slot, uint64_t i)
{
    return memcmp(slot->magic, KLAVIYO_SPOOL_STATE_MAGIC, 8) == 0
           && slot->version == KLAVIYO_SPOOL_VERSION
           && slot->crc == klaviyo_spool_slot_crc(slot)
           && (slot->generation & 1) == i
           && slot->generation < INT64_MAX
           && klaviyo_spool_le(slot->head_seq, slot->tail_seq)
           && slot->head_segment <= slot->tail_segment
           && slot->tail_segment < INT64_MAX
           && slot->tail_offset % 16 == 0
           && slot->tail_offset <= KLAVIYO_SPOOL_SEGMENT_MAX
           && (slot->tail_offset == 0
               || slot->tail_offset >= KLAVIYO_SPOOL_BLOCK);
}


int
klaviyo_spool_state_make(klaviyo_spool_slot_t *slot)
{
    memset(slot, 0, sizeof(klaviyo_spool_slot_t));

    memcpy(slot->magic, KLAVIYO_SPOOL_STATE_MAGIC, 8);
    slot->version = KLAVIYO_SPOOL_VERSION;

    if (getrandom(slot->uuid, KLAVIYO_RING_UUID_LEN, 0)
        != KLAVIYO_RING_UUID_LEN)
    {
        return -1;
    }

    return 0;
}


/*
 * After a failure the same slot is written once more, never the one that
 * stands.
 */

int
klaviyo_spool_commit(klaviyo_spool_t *spool, klaviyo_spool_slot_t *slot,
    char *error)
{
    off_t  offset;

    slot->generation = spool->slot.generation + 1;
    slot->crc = klaviyo_spool_slot_crc(slot);

    offset = (off_t) (slot->generation & 1) * KLAVIYO_SPOOL_BLOCK;

    if (klaviyo_file_write(spool->state_fd, slot, sizeof(klaviyo_spool_slot_t),
                           offset)
        == -1)
    {
        goto failed;
    }

    klaviyo_crash("spool_state_written");

    if (fdatasync(spool->state_fd) == -1) {
        goto failed;
    }

    spool->slot = *slot;
    spool->doubtful = 0;

    return 0;

failed:

    spool->doubtful = 1;

    return klaviyo_file_error(error, "writing \"%s/%s\" failed (%d: %m)%s",
                              spool->dir.path, KLAVIYO_SPOOL_STATE_NAME,
                              errno, klaviyo_file_hint(errno));
}
