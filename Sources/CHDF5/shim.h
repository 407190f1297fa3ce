#ifndef STRATA_CHDF5_SHIM_H
#define STRATA_CHDF5_SHIM_H
// libhdf5 changed H5Oget_info and friends in 1.12; this names the older interface on every version.
#define H5_USE_110_API 1
#include <hdf5.h>
#endif
