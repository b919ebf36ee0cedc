/*
 * The script that Redis runs for the shared queue.  Hosts add packs
 * (queue/klaviyo_pack.h); the one that has the lease pulls and settles them.
 *
 *     KEYS   klaviyo:{NAME}:q:LANE      stream: packs, with whose they are
 *            klaviyo:{NAME}:hosts:LANE  hash: host -> STORED DONE LEFT SEEN
 *            klaviyo:{NAME}:state:LANE  hash: bytes, accepted, delivered,
 *                                       dead, corrupt, dead_dropped; owner,
 *                                       nonce, until; of, whose it is, and
 *                                       of:HOST
 *            klaviyo:{NAME}:dead:LANE   list: dead letters
 *
 *     STORED  what the host is to add next: all before it was added
 *     DONE    all before it is settled: the host forgets it
 *     LEFT    events of it that wait here
 *     SEEN    when it was heard of, ms
 *
 *     WHOSE   what tells accounts of Klaviyo apart, "c" and a hash of the
 *             company, or "k" and one of the key.  The queue is of the one
 *             that a host said last; of another if no other host said it
 *             within a minute, and of another company only when it is empty
 *
 *     add     HOST EXPECT TO N MAX PACK WHOSE
 *             RC STORED DONE.  RC 0: stored, up to TO; 1: STORED is not
 *             EXPECT, nothing is stored: go on from there; 2: beyond MAX
 *             bytes; 3: beyond Redis's maxmemory; 4: it is of another account
 *     hello   HOST WHOSE
 *             STORED DONE BYTES ACCEPTED DELIVERED DEAD QUEUED HOSTS CORRUPT
 *             LETTERS, which had to leave the list.
 *             If the stream has vanished, STORED is DONE: all that was not
 *             settled is to be added again.  0: it is of another account
 *     lease   NONCE HOST WHOSE
 *             1 MS: ours for so long; 0 MS: another's
 *     release NONCE
 *     pull    NONCE LAST BYTES
 *             1 and the packs behind the one with this id, each ID HOST
 *             EXPECT TO N PACK; 1 PACKS, how many there are, if none is
 *             behind it; 0: the lease is another's
 *     settle  NONCE DEAD MAX LETTERS [ID HOST EXPECT TO N BYTES]...
 *             1 N: so many events left the queue, DEAD of them by a letter;
 *             again it is 1 0.  0: the lease is another's.  Of a pack before
 *             which one is missing, DONE stays, and its host begins there
 *     refuse  NONCE ID HOST N BYTES
 *             a pack that cannot be read: its host adds it again
 *     hosts   each HOST AGE LEFT, the longest silent first
 *
 * All that a call changes it changes in one step.  It looks before it writes,
 * and its first write needs no memory, but for that of `add`: over maxmemory
 * that one is refused and the others work.  No key has a time to live.  Times
 * are ms of Redis's TIME.
 *
 * Plain C.
 */


#ifndef KLAVIYO_FLEET_QUEUE_SCRIPT_H
#define KLAVIYO_FLEET_QUEUE_SCRIPT_H


#include <stddef.h>


extern const char    klaviyo_fleet_queue_script[];
extern const size_t  klaviyo_fleet_queue_script_len;


#endif /* KLAVIYO_FLEET_QUEUE_SCRIPT_H */
