// zlib as Swift sees it.
#ifndef STRATA_CZLIB_SHIM_H
#define STRATA_CZLIB_SHIM_H

#include <stddef.h>
#include <zlib.h>

// zlib's initialisers are macros that add its version and the size of z_stream, which Swift does
// not see. Negative window bits mean a raw deflate stream, without zlib's header and trailer.

static inline int strata_inflate_raw_init(z_stream *stream) {
  return inflateInit2(stream, -MAX_WBITS);
}

static inline int strata_deflate_raw_init(z_stream *stream) {
  return deflateInit2(stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8,
                      Z_DEFAULT_STRATEGY);
}

#endif
