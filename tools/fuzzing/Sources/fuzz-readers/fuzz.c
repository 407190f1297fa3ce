// The main function is libFuzzer's; this reference makes the linker take in what it calls.
#include <stddef.h>
#include <stdint.h>

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

__attribute__((used)) static int (*const target)(const uint8_t *, size_t) = LLVMFuzzerTestOneInput;
