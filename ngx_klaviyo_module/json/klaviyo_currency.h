/*
 * Currencies: the codes of ISO 4217 and how many decimals each has.
 *
 * Plain C, no allocation.
 */


#ifndef KLAVIYO_CURRENCY_H
#define KLAVIYO_CURRENCY_H


#include <stddef.h>
#include <stdint.h>


#define KLAVIYO_CURRENCY_LEN  3


/*
 * A code in any case, with blanks around it: its decimals, 0 to 4, and the
 * code in capitals in `code`.  -1: it is no currency, `code` is untouched.
 */
int klaviyo_currency(const uint8_t *p, size_t len,
    uint8_t code[KLAVIYO_CURRENCY_LEN]);


#endif /* KLAVIYO_CURRENCY_H */
