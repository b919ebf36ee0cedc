/*
 * CRC-32C (Castagnoli), the checksum of the ring's format: the processor's
 * instruction where it has one, a table elsewhere.
 *
 * Plain C.
 */


#ifndef KLAVIYO_CRC32C_H
#define KLAVIYO_CRC32C_H


#include <stddef.h>
#include <stdint.h>


/*
 * Continues crc (0 at the beginning) over the bytes; pieces give the same
 * as the whole: f(f(0, a), b) == f(0, ab).
 */
uint32_t klaviyo_crc32c(uint32_t crc, const void *data, size_t len);

/* the same by the table, on every processor */
uint32_t klaviyo_crc32c_portable(uint32_t crc, const void *data, size_t len);


#endif /* KLAVIYO_CRC32C_H */
