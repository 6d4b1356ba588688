/*
 * libcr_run.so.0: programs are linked with it (-Wl,-u,cr_run_link_me -lcr_run) or started with it so that BLCR can checkpoint them. Here
 * every program can be; the library exists so that such programs link and start.
 */
#define EXPORT __attribute__((visibility("default")))

EXPORT int cr_run_link_me = 0;
