/* CRC-32C (RFC 3720 section 12.1): the polynomial 0x1edc6f41, its bits and those of the octets turned round. */
#include "durable.h"

#include <string.h>

/* What each half of an octet, of eight octets, adds to the CRC behind them; the last row is that of a half alone. */
static const uint32_t table[16][16] = {
    { 0x00000000, 0x493c7d27, 0x9278fa4e, 0xdb448769, 0x211d826d, 0x6821ff4a, 0xb3657823, 0xfa590504,
      0x423b04da, 0x0b0779fd, 0xd043fe94, 0x997f83b3, 0x632686b7, 0x2a1afb90, 0xf15e7cf9, 0xb86201de },
    { 0x00000000, 0x847609b4, 0x0d006599, 0x89766c2d, 0x1a00cb32, 0x9e76c286, 0x1700aeab, 0x9376a71f,
      0x34019664, 0xb0779fd0, 0x3901f3fd, 0xbd77fa49, 0x2e015d56, 0xaa7754e2, 0x230138cf, 0xa777317b },
    { 0x00000000, 0x68032cc8, 0xd0065990, 0xb8057558, 0xa5e0c5d1, 0xcde3e919, 0x75e69c41, 0x1de5b089,
      0x4e2dfd53, 0x262ed19b, 0x9e2ba4c3, 0xf628880b, 0xebcd3882, 0x83ce144a, 0x3bcb6112, 0x53c84dda },
    { 0x00000000, 0x9c5bfaa6, 0x3d5b83bd, 0xa100791b, 0x7ab7077a, 0xe6ecfddc, 0x47ec84c7, 0xdbb77e61,
      0xf56e0ef4, 0x6935f452, 0xc8358d49, 0x546e77ef, 0x8fd9098e, 0x1382f328, 0xb2828a33, 0x2ed97095 },
    { 0x00000000, 0xef306b19, 0xdb8ca0c3, 0x34bccbda, 0xb2f53777, 0x5dc55c6e, 0x697997b4, 0x8649fcad,
      0x6006181f, 0x8f367306, 0xbb8ab8dc, 0x54bad3c5, 0xd2f32f68, 0x3dc34471, 0x097f8fab, 0xe64fe4b2 },
    { 0x00000000, 0xc00c303e, 0x85f4168d, 0x45f826b3, 0x0e045beb, 0xce086bd5, 0x8bf04d66, 0x4bfc7d58,
      0x1c08b7d6, 0xdc0487e8, 0x99fca15b, 0x59f09165, 0x120cec3d, 0xd200dc03, 0x97f8fab0, 0x57f4ca8e },
    { 0x00000000, 0x38116fac, 0x7022df58, 0x4833b0f4, 0xe045beb0, 0xd854d11c, 0x906761e8, 0xa8760e44,
      0xc5670b91, 0xfd76643d, 0xb545d4c9, 0x8d54bb65, 0x2522b521, 0x1d33da8d, 0x55006a79, 0x6d1105d5 },
    { 0x00000000, 0x8f2261d3, 0x1ba8b557, 0x948ad484, 0x37516aae, 0xb8730b7d, 0x2cf9dff9, 0xa3dbbe2a,
      0x6ea2d55c, 0xe180b48f, 0x750a600b, 0xfa2801d8, 0x59f3bff2, 0xd6d1de21, 0x425b0aa5, 0xcd796b76 },
    { 0x00000000, 0xdd45aab8, 0xbf672381, 0x62228939, 0x7b2231f3, 0xa6679b4b, 0xc4451272, 0x1900b8ca,
      0xf64463e6, 0x2b01c95e, 0x49234067, 0x9466eadf, 0x8d665215, 0x5023f8ad, 0x32017194, 0xef44db2c },
    { 0x00000000, 0xe964b13d, 0xd725148b, 0x3e41a5b6, 0xaba65fe7, 0x42c2eeda, 0x7c834b6c, 0x95e7fa51,
      0x52a0c93f, 0xbbc47802, 0x8585ddb4, 0x6ce16c89, 0xf90696d8, 0x106227e5, 0x2e238253, 0xc747336e },
    { 0x00000000, 0xa541927e, 0x4f6f520d, 0xea2ec073, 0x9edea41a, 0x3b9f3664, 0xd1b1f617, 0x74f06469,
      0x38513ec5, 0x9d10acbb, 0x773e6cc8, 0xd27ffeb6, 0xa68f9adf, 0x03ce08a1, 0xe9e0c8d2, 0x4ca15aac },
    { 0x00000000, 0x70a27d8a, 0xe144fb14, 0x91e6869e, 0xc76580d9, 0xb7c7fd53, 0x26217bcd, 0x56830647,
      0x8b277743, 0xfb850ac9, 0x6a638c57, 0x1ac1f1dd, 0x4c42f79a, 0x3ce08a10, 0xad060c8e, 0xdda47104 },
    { 0x00000000, 0x13a29877, 0x274530ee, 0x34e7a899, 0x4e8a61dc, 0x5d28f9ab, 0x69cf5132, 0x7a6dc945,
      0x9d14c3b8, 0x8eb65bcf, 0xba51f356, 0xa9f36b21, 0xd39ea264, 0xc03c3a13, 0xf4db928a, 0xe7790afd },
    { 0x00000000, 0x3fc5f181, 0x7f8be302, 0x404e1283, 0xff17c604, 0xc0d23785, 0x809c2506, 0xbf59d487,
      0xfbc3faf9, 0xc4060b78, 0x844819fb, 0xbb8de87a, 0x04d43cfd, 0x3b11cd7c, 0x7b5fdfff, 0x449a2e7e },
    { 0x00000000, 0xf26b8303, 0xe13b70f7, 0x1350f3f4, 0xc79a971f, 0x35f1141c, 0x26a1e7e8, 0xd4ca64eb,
      0x8ad958cf, 0x78b2dbcc, 0x6be22838, 0x9989ab3b, 0x4d43cfd0, 0xbf284cd3, 0xac78bf27, 0x5e133c24 },
    { 0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
      0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75 },
};

static uint32_t one(uint32_t crc, uint8_t octet)
{
    crc ^= octet;
    crc = (crc >> 4) ^ table[15][crc & 15];
    return (crc >> 4) ^ table[15][crc & 15];
}

/* The lookups do not wait for each other, but for the first eight. */
static uint32_t eight(uint32_t crc, const uint8_t *p)
{
    uint32_t first = crc ^ (p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
    uint32_t last = p[4] | (uint32_t)p[5] << 8 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 24;
    uint32_t sum = 0;
    for (int i = 0; i < 8; i++)
        sum ^= table[i][first >> (4 * i) & 15] ^ table[8 + i][last >> (4 * i) & 15];
    return sum;
}

uint32_t mailsrv__durable_crc_by_table(uint32_t before, const uint8_t *p, size_t n)
{
    uint32_t crc = ~before;
    for (; n >= 8; p += 8, n -= 8)
        crc = eight(crc, p);
    for (; n != 0; p++, n--)
        crc = one(crc, *p);
    return ~crc;
}

/* ---- By the processor, where it has an instruction for this very polynomial ---- */

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_INSTRUCTION __builtin_cpu_supports("sse4.2")
#define WITH_INSTRUCTION __attribute__((target("sse4.2")))
#define NEXT_EIGHT(crc, word) ((uint32_t)__builtin_ia32_crc32di(crc, word))
#define NEXT_ONE(crc, octet) __builtin_ia32_crc32qi(crc, octet)
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#include <arm_acle.h>
#define HAS_INSTRUCTION true
#define WITH_INSTRUCTION
#define NEXT_EIGHT(crc, word) __crc32cd(crc, word)
#define NEXT_ONE(crc, octet) __crc32cb(crc, octet)
#endif

#ifdef HAS_INSTRUCTION
enum { LANE = 512 };

/* What each half of an octet of a CRC becomes when LANE octets of zeros come behind it. */
static const uint32_t shifted[8][16] = {
    { 0x00000000, 0xbd6f81f8, 0x7f337501, 0xc25cf4f9, 0xfe66ea02, 0x43096bfa, 0x81559f03, 0x3c3a1efb,
      0xf921a2f5, 0x444e230d, 0x8612d7f4, 0x3b7d560c, 0x074748f7, 0xba28c90f, 0x78743df6, 0xc51bbc0e },
    { 0x00000000, 0xf7af331b, 0xeab210c7, 0x1d1d23dc, 0xd088577f, 0x27276464, 0x3a3a47b8, 0xcd9574a3,
      0xa4fcd80f, 0x5353eb14, 0x4e4ec8c8, 0xb9e1fbd3, 0x74748f70, 0x83dbbc6b, 0x9ec69fb7, 0x6969acac },
    { 0x00000000, 0x4c15c6ef, 0x982b8dde, 0xd43e4b31, 0x35bb6d4d, 0x79aeaba2, 0xad90e093, 0xe185267c,
      0x6b76da9a, 0x27631c75, 0xf35d5744, 0xbf4891ab, 0x5ecdb7d7, 0x12d87138, 0xc6e63a09, 0x8af3fce6 },
    { 0x00000000, 0xd6edb534, 0xa8371c99, 0x7edaa9ad, 0x55824fc3, 0x836ffaf7, 0xfdb5535a, 0x2b58e66e,
      0xab049f86, 0x7de92ab2, 0x0333831f, 0xd5de362b, 0xfe86d045, 0x286b6571, 0x56b1ccdc, 0x805c79e8 },
    { 0x00000000, 0x53e549fd, 0xa7ca93fa, 0xf42fda07, 0x4a795105, 0x199c18f8, 0xedb3c2ff, 0xbe568b02,
      0x94f2a20a, 0xc717ebf7, 0x333831f0, 0x60dd780d, 0xde8bf30f, 0x8d6ebaf2, 0x794160f5, 0x2aa42908 },
    { 0x00000000, 0x2c0932e5, 0x581265ca, 0x741b572f, 0xb024cb94, 0x9c2df971, 0xe836ae5e, 0xc43f9cbb,
      0x65a5e1d9, 0x49acd33c, 0x3db78413, 0x11beb6f6, 0xd5812a4d, 0xf98818a8, 0x8d934f87, 0xa19a7d62 },
    { 0x00000000, 0xcb4bc3b2, 0x937bf195, 0x58303227, 0x231b95db, 0xe8505669, 0xb060644e, 0x7b2ba7fc,
      0x46372bb6, 0x8d7ce804, 0xd54cda23, 0x1e071991, 0x652cbe6d, 0xae677ddf, 0xf6574ff8, 0x3d1c8c4a },
    { 0x00000000, 0x8c6e576c, 0x1d30d829, 0x915e8f45, 0x3a61b052, 0xb60fe73e, 0x2751687b, 0xab3f3f17,
      0x74c360a4, 0xf8ad37c8, 0x69f3b88d, 0xe59defe1, 0x4ea2d0f6, 0xc2cc879a, 0x539208df, 0xdffc5fb3 },
};

static uint32_t shift(uint32_t crc)
{
    uint32_t sum = 0;
    for (int i = 0; i < 8; i++)
        sum ^= shifted[i][crc >> (4 * i) & 15];
    return sum;
}

static uint64_t word_at(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* The instruction takes three cycles, but may begin in each: so three stretches are gone through side by side.  A CRC
 * is linear: that of all is the sum of those of each, with the octets behind it taken for zeros. */
WITH_INSTRUCTION static uint32_t three_lanes(uint32_t crc, const uint8_t *p)
{
    uint32_t second = 0, third = 0;
    for (size_t i = 0; i < LANE; i += 8) {
        crc = NEXT_EIGHT(crc, word_at(p + i));
        second = NEXT_EIGHT(second, word_at(p + LANE + i));
        third = NEXT_EIGHT(third, word_at(p + 2 * LANE + i));
    }
    return shift(shift(crc) ^ second) ^ third;
}

WITH_INSTRUCTION static uint32_t by_instruction(uint32_t before, const uint8_t *p, size_t n)
{
    uint32_t crc = ~before;
    for (; n >= 3 * LANE; p += 3 * LANE, n -= 3 * LANE)
        crc = three_lanes(crc, p);
    for (; n >= 8; p += 8, n -= 8)
        crc = NEXT_EIGHT(crc, word_at(p));
    for (; n != 0; p++, n--)
        crc = NEXT_ONE(crc, *p);
    return ~crc;
}
#endif

uint32_t mailsrv__durable_crc(uint32_t before, const uint8_t *p, size_t n)
{
#ifdef HAS_INSTRUCTION
    if (HAS_INSTRUCTION)
        return by_instruction(before, p, n);
#endif
    return mailsrv__durable_crc_by_table(before, p, n);
}
