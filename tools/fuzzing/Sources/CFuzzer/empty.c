// The header is all.
#include "CFuzzer.h"
