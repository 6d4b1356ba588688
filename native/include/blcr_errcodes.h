/* Error codes of BLCR are in one header here; this one serves programs that include it by its BLCR name. */
#include "libcr.h"
