// Where libhdf5 and its headers are, pkg-config says; what of them is used stands in CHDF5.
