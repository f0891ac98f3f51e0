/* crc.h - CRC-32C (Castagnoli), with the processor's instruction where it has one.  Layer: base. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc` (0 to begin). */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t len);
