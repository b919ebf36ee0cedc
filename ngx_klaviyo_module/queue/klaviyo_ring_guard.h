/*
 * What happens to a ring whose file somebody truncates while it is used: it
 * is detached, and nobody dies of it.
 *
 * Plain C.
 */


#ifndef KLAVIYO_RING_GUARD_H
#define KLAVIYO_RING_GUARD_H


/*
 * In the worker, before it touches a ring: takes over SIGBUS of this process
 * for the mappings of all rings, attached before or after.  Others' faults go
 * to the handler that was there before.  0 or errno; once is enough.
 */
int klaviyo_ring_guard_init(void);


#endif /* KLAVIYO_RING_GUARD_H */
