// zlib as Swift sees it.
#ifndef STRATA_CZLIB_SHIM_H
#define STRATA_CZLIB_SHIM_H

#include <stddef.h>
#include <zlib.h>

#endif
