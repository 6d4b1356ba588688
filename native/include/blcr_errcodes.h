/*
 * Error codes with their texts, in the order of their values. As BLCR's header of this name it may be included with CR_ERROR_DEF(code,
 * text) defined, any number of times, for a table of one's own; otherwise it stands for libcr.h, where the values are.
 */
#ifdef CR_ERROR_DEF
CR_ERROR_DEF(CR_ETEMPFAIL, "Checkpoint is not possible now, try again later")
CR_ERROR_DEF(CR_EPERMFAIL, "Checkpoint is not possible at all")
CR_ERROR_DEF(CR_ENOSUPPORT, "The process cannot be checkpointed by this library")
CR_ERROR_DEF(CR_EVERSION, "The context was written by an incompatible version")
CR_ERROR_DEF(CR_EOMITTED, "A process asked to be left out of the checkpoint")
CR_ERROR_DEF(CR_EBADARCH, "The context needs another architecture or processor")
CR_ERROR_DEF(CR_EPTRACED, "The process is traced by another process")
CR_ERROR_DEF(CR_EPTRACER, "The process traces another process")
CR_ERROR_DEF(CR_ERSTRTABRT, "The restart was given up by a callback or hook")
CR_ERROR_DEF(CR_ERESTARTED, "This is the restarted copy of the process that asked")
CR_ERROR_DEF(CR_ENOTCB, "The call is allowed in a callback only")
CR_ERROR_DEF(CR_ENOINIT, "cr_init() has not been called in this thread")
#else
#include "libcr.h"
#endif
