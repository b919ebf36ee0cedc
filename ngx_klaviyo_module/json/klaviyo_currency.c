/*
 * json: the currencies of ISO 4217.  Plain C.
 */


#include <string.h>

#include "klaviyo_currency.h"
#include "klaviyo_value.h"


#define KLAVIYO_CURRENCY_ENTRY  5


/*
 * By code, with the decimals behind it: all that are in use, and those that
 * went in the last years, for orders of that time.  Metals, funds of testing
 * and "no currency" are left out: nobody pays in them.
 */

static const char  klaviyo_currencies[] =
    "AED2 AFN2 ALL2 AMD2 ANG2 AOA2 ARS2 AUD2 AWG2 AZN2 BAM2 BBD2 BDT2 "
    "BGN2 BHD3 BIF0 BMD2 BND2 BOB2 BOV2 BRL2 BSD2 BTN2 BWP2 BYN2 BZD2 "
    "CAD2 CDF2 CHE2 CHF2 CHW2 CLF4 CLP0 CNY2 COP2 COU2 CRC2 CUC2 CUP2 "
    "CVE2 CZK2 DJF0 DKK2 DOP2 DZD2 EGP2 ERN2 ETB2 EUR2 FJD2 FKP2 GBP2 "
    "GEL2 GHS2 GIP2 GMD2 GNF0 GTQ2 GYD2 HKD2 HNL2 HRK2 HTG2 HUF2 IDR2 "
    "ILS2 INR2 IQD3 IRR2 ISK0 JMD2 JOD3 JPY0 KES2 KGS2 KHR2 KMF0 KPW2 "
    "KRW0 KWD3 KYD2 KZT2 LAK2 LBP2 LKR2 LRD2 LSL2 LYD3 MAD2 MDL2 MGA2 "
    "MKD2 MMK2 MNT2 MOP2 MRU2 MUR2 MVR2 MWK2 MXN2 MXV2 MYR2 MZN2 NAD2 "
    "NGN2 NIO2 NOK2 NPR2 NZD2 OMR3 PAB2 PEN2 PGK2 PHP2 PKR2 PLN2 PYG0 "
    "QAR2 RON2 RSD2 RUB2 RWF0 SAR2 SBD2 SCR2 SDG2 SEK2 SGD2 SHP2 SLE2 "
    "SLL2 SOS2 SRD2 SSP2 STN2 SVC2 SYP2 SZL2 THB2 TJS2 TMT2 TND3 TOP2 "
    "TRY2 TTD2 TWD2 TZS2 UAH2 UGX0 USD2 USN2 UYI0 UYU2 UYW4 UZS2 VED2 "
    "VES2 VND0 VUV0 WST2 XAF0 XCD2 XCG2 XOF0 XPF0 YER2 ZAR2 ZMW2 ZWG2 "
    "ZWL2 ";


int
klaviyo_currency(const uint8_t *p, size_t len,
    uint8_t code[KLAVIYO_CURRENCY_LEN])
{
    int          order;
    size_t       i, low, high, middle;
    uint8_t      upper[KLAVIYO_CURRENCY_LEN];
    const char  *entry;

    len = klaviyo_value_trim(&p, len);

    if (len != KLAVIYO_CURRENCY_LEN) {
        return -1;
    }

    for (i = 0; i < KLAVIYO_CURRENCY_LEN; i++) {
        upper[i] = (p[i] >= 'a' && p[i] <= 'z') ? p[i] & ~0x20 : p[i];
    }

    low = 0;
    high = (sizeof(klaviyo_currencies) - 1) / KLAVIYO_CURRENCY_ENTRY;

    while (low < high) {
        middle = (low + high) / 2;
        entry = klaviyo_currencies + middle * KLAVIYO_CURRENCY_ENTRY;

        order = memcmp(upper, entry, KLAVIYO_CURRENCY_LEN);

        if (order == 0) {
            memcpy(code, upper, KLAVIYO_CURRENCY_LEN);
            return entry[KLAVIYO_CURRENCY_LEN] - '0';
        }

        if (order < 0) {
            high = middle;

        } else {
            low = middle + 1;
        }
    }

    return -1;
}
