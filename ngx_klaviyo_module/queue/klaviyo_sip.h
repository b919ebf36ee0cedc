#ifndef KLAVIYO_SIP_H
#define KLAVIYO_SIP_H


#include <stddef.h>
#include <stdint.h>


/*
 * SipHash-1-3, of Aumasson and Bernstein, with words in this machine's byte
 * order: for tables in memory whose keys come from strangers.
 */
uint64_t klaviyo_sip(uint64_t k0, uint64_t k1, const uint8_t *p, size_t len);


#endif /* KLAVIYO_SIP_H */
