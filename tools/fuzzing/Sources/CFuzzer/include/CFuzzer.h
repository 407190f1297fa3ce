#ifndef STRATA_FUZZER_H
#define STRATA_FUZZER_H

#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

/// Changes `size` bytes at random, into at most `largest`; gives the new size.
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t largest);

/// The CRC-32 of `size` bytes.
static inline uint32_t fuzzer_crc32(const uint8_t *data, size_t size) {
  return (uint32_t)crc32_z(0, data, size);
}

#endif
