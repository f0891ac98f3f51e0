/* endian.h - numbers in files and on wires are little-endian, at any alignment.  Layer: base. */
#pragma once
#include <stdint.h>
#include <string.h>

static inline void put_u32(void *to, uint32_t n)
{
    unsigned char *p = to;
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(n >> (8 * i));
}
static inline void put_u64(void *to, uint64_t n)
{
    unsigned char *p = to;
    for (int i = 0; i < 8; i++)
        p[i] = (unsigned char)(n >> (8 * i));
}
static inline uint32_t get_u32(const void *from)
{
    const unsigned char *p = from;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t get_u64(const void *from)
{
    const unsigned char *p = from;
    return (uint64_t)get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

/* Zigzag: small numbers of either sign become small ones without. */
static inline uint64_t zigzag(int64_t n)
{
    return (uint64_t)n << 1 ^ (n < 0 ? UINT64_MAX : 0);
}
static inline int64_t unzigzag(uint64_t n)
{
    return (int64_t)(n >> 1) ^ -(int64_t)(n & 1);
}
