/*
 * An amount of money: a byte for the form, then the text.
 *
 * What is read is a number of JSON's grammar with the digits of the text, and
 * reading it again finds the same.  A currency that is found is one.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ingx_klaviyo_module \
 *         -o fuzz t/fuzz/amount_fuzz.c ngx_klaviyo_module/json/klaviyo_*.c \
 *         -ljansson -lidn2 && ./fuzz t/fuzz/seeds/amount
 */


#include <stdlib.h>
#include <string.h>

#include "json/klaviyo_amount.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t digits(uint8_t *buf, const uint8_t *p, size_t len);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                 n, m, len, again_len;
    uint8_t                out[KLAVIYO_AMOUNT_LEN];
    uint8_t                again[KLAVIYO_AMOUNT_LEN];
    uint8_t               *text, *one, *two;
    uint8_t                code[KLAVIYO_CURRENCY_LEN];
    klaviyo_value_rc_e     rc;
    klaviyo_amount_form_t  form;

    static const uint8_t  marks[] = { 0, ',', '.', 0 };

    if (size == 0) {
        return 0;
    }

    form.decimals = (data[0] & 7) % 6 - 1;
    form.decimal = marks[data[0] >> 3 & 3];
    form.minor = data[0] >> 5 & 1;
    form.currency = data[0] >> 6 & 1 ? (const uint8_t *) "EUR" : NULL;

    size--;
    text = malloc(size ? size : 1);
    memcpy(text, data + 1, size);

    if (klaviyo_amount_currency(text, size, code)
        && klaviyo_currency(code, KLAVIYO_CURRENCY_LEN, code) < 0)
    {
        abort();
    }

    rc = klaviyo_amount_read(&form, text, size, out, &len);

    if (rc != KLAVIYO_VALUE_OK) {
        free(text);
        return 0;
    }

    if (len == 0 || len > sizeof(out) || !klaviyo_value_is_number(out, len)) {
        abort();
    }

    /* zeros before it may come and go, and nothing else */

    one = malloc(size + 1);
    two = malloc(len);

    n = digits(one, text, size);
    m = digits(two, out, len);

    if (n != m || memcmp(one, two, n) != 0) {
        abort();
    }

    free(one);
    free(two);
    free(text);

    form.minor = 0;
    form.decimal = '.';
    form.currency = NULL;

    rc = klaviyo_amount_read(&form, out, len, again, &again_len);

    if (rc != KLAVIYO_VALUE_OK
        || again_len != len
        || memcmp(out, again, len) != 0)
    {
        abort();
    }

    return 0;
}


/* the digits, without the zeros that they begin with */

static size_t
digits(uint8_t *buf, const uint8_t *p, size_t len)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < len; i++) {

        if (p[i] >= '0' && p[i] <= '9' && (n || p[i] != '0')) {
            buf[n++] = p[i];
        }
    }

    return n;
}
