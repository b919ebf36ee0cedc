/*
 * Amounts of money as shops write them: a JSON number, or one with a symbol
 * or a code of a currency around it, blanks, and separators of thousands.
 *
 *     4,998.00   1 234,56   €49.00   -33,95   1'234.50 CHF   Rs. 1,23,456.00
 *     49,- €     CHF 1'234.–
 *
 * What can be read in two ways (`1,234`; `139.980` in a currency without
 * decimals) is no amount, unless the form says which separator is the
 * decimal one.
 *
 * Plain C, no allocation.
 */


#ifndef KLAVIYO_AMOUNT_H
#define KLAVIYO_AMOUNT_H


#include "klaviyo_currency.h"
#include "klaviyo_value.h"


#define KLAVIYO_AMOUNT_LEN  72       /* bytes of an amount as a JSON number */


typedef struct {
    const uint8_t  *currency;        /* KLAVIYO_CURRENCY_LEN capitals; NULL */
    int             decimals;        /* of the currency; -1: not known      */
    uint8_t         decimal;         /* ',' or '.'; 0: as it is written     */
    unsigned        minor:1;         /* in units of the last decimal        */
} klaviyo_amount_form_t;


/*
 * The amount as a JSON number in `out`, of *out_len bytes; digits are kept
 * as they are: 19.90 is 19.90.  An amount in minor units needs the decimals.
 * A currency in the text that is not that of the form makes it bad.
 */
klaviyo_value_rc_e klaviyo_amount_read(const klaviyo_amount_form_t *form,
    const uint8_t *p, size_t len, uint8_t out[KLAVIYO_AMOUNT_LEN],
    size_t *out_len);

/*
 * 1: the amount has a code, or a symbol that only one currency has ("EUR" of
 * "49,00 €"; none of "$49.00").
 */
int klaviyo_amount_currency(const uint8_t *p, size_t len,
    uint8_t code[KLAVIYO_CURRENCY_LEN]);


#endif /* KLAVIYO_AMOUNT_H */
