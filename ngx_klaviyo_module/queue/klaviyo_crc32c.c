/*
 * The queue room: CRC-32C.  The way is chosen at the first call; a second
 * thread that chooses at the same time comes to the same result.
 *
 * Plain C; may touch nothing but its arguments and its own table.
 */


#include <string.h>

#include "klaviyo_crc32c.h"

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif


#define KLAVIYO_CRC32C_POLYNOMIAL  0x82f63b78   /* reflected */


typedef uint32_t (*klaviyo_crc32c_pt)(uint32_t crc, const void *data,
    size_t len);


static uint32_t klaviyo_crc32c_choose(uint32_t crc, const void *data,
    size_t len);


static klaviyo_crc32c_pt  klaviyo_crc32c_way = klaviyo_crc32c_choose;
static uint32_t           klaviyo_crc32c_table[256];
static int                klaviyo_crc32c_table_ready;


uint32_t
klaviyo_crc32c(uint32_t crc, const void *data, size_t len)
{
    klaviyo_crc32c_pt  way;

    way = __atomic_load_n(&klaviyo_crc32c_way, __ATOMIC_RELAXED);

    return way(crc, data, len);
}


static void
klaviyo_crc32c_make_table(void)
{
    int       bit;
    uint32_t  i, crc;

    for (i = 0; i < 256; i++) {
        crc = i;

        for (bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) ? KLAVIYO_CRC32C_POLYNOMIAL : 0);
        }

        __atomic_store_n(&klaviyo_crc32c_table[i], crc, __ATOMIC_RELAXED);
    }

    __atomic_store_n(&klaviyo_crc32c_table_ready, 1, __ATOMIC_RELEASE);
}


uint32_t
klaviyo_crc32c_portable(uint32_t crc, const void *data, size_t len)
{
    const uint8_t  *p, *end;

    if (!__atomic_load_n(&klaviyo_crc32c_table_ready, __ATOMIC_ACQUIRE)) {
        klaviyo_crc32c_make_table();
    }

    p = data;
    end = p + len;
    crc = ~crc;

    while (p < end) {
        crc = (crc >> 8) ^ klaviyo_crc32c_table[(crc ^ *p++) & 0xff];
    }

    return ~crc;
}


#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t
klaviyo_crc32c_sse42(uint32_t crc, const void *data, size_t len)
{
    uint16_t        half;
    uint32_t        whole;
    uint64_t        state, word[4];
    const uint8_t  *p;

    p = data;
    state = (uint32_t) ~crc;

    for ( /* void */ ; len >= 32; len -= 32) {
        memcpy(word, p, 32);
        state = __builtin_ia32_crc32di(state, word[0]);
        state = __builtin_ia32_crc32di(state, word[1]);
        state = __builtin_ia32_crc32di(state, word[2]);
        state = __builtin_ia32_crc32di(state, word[3]);
        p += 32;
    }

    for ( /* void */ ; len >= 8; len -= 8) {
        memcpy(word, p, 8);
        state = __builtin_ia32_crc32di(state, word[0]);
        p += 8;
    }

    if (len & 4) {
        memcpy(&whole, p, 4);
        state = __builtin_ia32_crc32si((uint32_t) state, whole);
        p += 4;
    }

    if (len & 2) {
        memcpy(&half, p, 2);
        state = __builtin_ia32_crc32hi((uint32_t) state, half);
        p += 2;
    }

    if (len & 1) {
        state = __builtin_ia32_crc32qi((uint32_t) state, *p);
    }

    return ~(uint32_t) state;
}

#elif defined(__aarch64__)

#define KLAVIYO_HWCAP_CRC32  (1UL << 7)

static uint32_t
klaviyo_crc32c_armv8(uint32_t crc, const void *data, size_t len)
{
    uint64_t        word;
    const uint8_t  *p;

    p = data;
    crc = ~crc;

    while (len >= 8) {
        memcpy(&word, p, 8);

        __asm__ (".arch_extension crc\n\t"
                 "crc32cx %w0, %w0, %x1"
                 : "+r" (crc) : "r" (word));

        p += 8;
        len -= 8;
    }

    while (len > 0) {
        __asm__ (".arch_extension crc\n\t"
                 "crc32cb %w0, %w0, %w1"
                 : "+r" (crc) : "r" ((uint32_t) *p));

        p++;
        len--;
    }

    return ~crc;
}

#endif


static uint32_t
klaviyo_crc32c_choose(uint32_t crc, const void *data, size_t len)
{
    klaviyo_crc32c_pt  way;

    way = klaviyo_crc32c_portable;

#if defined(__x86_64__)

    __builtin_cpu_init();

    if (__builtin_cpu_supports("sse4.2")) {
        way = klaviyo_crc32c_sse42;
    }

#elif defined(__aarch64__)

    if (getauxval(AT_HWCAP) & KLAVIYO_HWCAP_CRC32) {
        way = klaviyo_crc32c_armv8;
    }

#endif

    __atomic_store_n(&klaviyo_crc32c_way, way, __ATOMIC_RELAXED);

    return way(crc, data, len);
}
