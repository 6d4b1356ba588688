/*
 * What the compiler's machine has newer than glibc 2.28, the oldest that Node.js itself runs with: linked into the addon and into
 * libcr.so.0, so that both load wherever Node does. Each function here is hidden, so that every reference of the same object binds to it,
 * those of the static libstdc++ and libgcc included, and goes on to the version of the symbol that has been there since the beginning.
 * Where there was none it does the work itself. test/packaging/symbols.test.ts finds what is missing here.
 *
 * No header declares these names here: theirs would be the new ones. Before glibc 2.34 the dl and pthread functions are in libraries of
 * their own, which whoever loads us has loaded: libcr.so.0 names them, Node does so itself.
 */
#include <stddef.h>
#include <sys/syscall.h>

#define HIDDEN __attribute__((visibility("hidden")))
#define VERSION_OF(name, symbol, version) __asm__(".symver " #name ", " #symbol "@" version)

extern void* old_dlopen(const char* file, int mode);
VERSION_OF(old_dlopen, dlopen, "GLIBC_2.2.5");
HIDDEN void* dlopen(const char* file, int mode) { return old_dlopen(file, mode); }

extern void* old_dlsym(void* handle, const char* name);
VERSION_OF(old_dlsym, dlsym, "GLIBC_2.2.5");
HIDDEN void* dlsym(void* handle, const char* name) { return old_dlsym(handle, name); }

extern int old_dlclose(void* handle);
VERSION_OF(old_dlclose, dlclose, "GLIBC_2.2.5");
HIDDEN int dlclose(void* handle) { return old_dlclose(handle); }

extern char* old_dlerror(void);
VERSION_OF(old_dlerror, dlerror, "GLIBC_2.2.5");
HIDDEN char* dlerror(void) { return old_dlerror(); }

extern int old_dladdr(const void* address, void* info);
VERSION_OF(old_dladdr, dladdr, "GLIBC_2.2.5");
HIDDEN int dladdr(const void* address, void* info) { return old_dladdr(address, info); }

extern int old_pthread_sigmask(int how, const void* set, void* before);
VERSION_OF(old_pthread_sigmask, pthread_sigmask, "GLIBC_2.2.5");
HIDDEN int pthread_sigmask(int how, const void* set, void* before) { return old_pthread_sigmask(how, set, before); }

extern int old_pthread_once(int* control, void (*routine)(void));
VERSION_OF(old_pthread_once, pthread_once, "GLIBC_2.2.5");
HIDDEN int pthread_once(int* control, void (*routine)(void)) { return old_pthread_once(control, routine); }

extern int old_pthread_key_create(unsigned* key, void (*destructor)(void*));
VERSION_OF(old_pthread_key_create, __pthread_key_create, "GLIBC_2.2.5");
HIDDEN int __pthread_key_create(unsigned* key, void (*destructor)(void*)) { return old_pthread_key_create(key, destructor); }

extern int old_pthread_create(unsigned long* thread, const void* attributes, void* (*start)(void*), void* argument);
VERSION_OF(old_pthread_create, pthread_create, "GLIBC_2.2.5");
HIDDEN int pthread_create(unsigned long* thread, const void* attributes, void* (*start)(void*), void* argument) {
  return old_pthread_create(thread, attributes, start, argument);
}

extern int old_pthread_detach(unsigned long thread);
VERSION_OF(old_pthread_detach, pthread_detach, "GLIBC_2.2.5");
HIDDEN int pthread_detach(unsigned long thread) { return old_pthread_detach(thread); }

HIDDEN int pthread_key_create(unsigned* key, void (*destructor)(void*)) { return old_pthread_key_create(key, destructor); }

extern int old_pthread_setspecific(unsigned key, const void* value);
VERSION_OF(old_pthread_setspecific, pthread_setspecific, "GLIBC_2.2.5");
HIDDEN int pthread_setspecific(unsigned key, const void* value) { return old_pthread_setspecific(key, value); }

/* struct stat is the kernel's on x86_64. Source: stat(2), C library/kernel differences. */
extern long syscall(long number, ...);
enum { kCurrentDirectory = -100, kEmptyPath = 0x1000 };
struct stat;
HIDDEN int stat(const char* path, struct stat* into) { return (int)syscall(SYS_newfstatat, kCurrentDirectory, path, into, 0); }
HIDDEN int fstat(int fd, struct stat* into) { return (int)syscall(SYS_newfstatat, fd, "", into, kEmptyPath); }

/* libstdc++ asks whether it may do without atomic instructions. Inside Node: never. */
HIDDEN char __libc_single_threaded = 0;

/* libgcc looks for unwind tables here. What is linked with this file throws nothing, and an error that libstdc++ throws ends in abort()
 * too. */
HIDDEN int _dl_find_object(void* address, void* result) {
  (void)address;
  (void)result;
  return -1;
}

/* For std::random_device, which nothing here uses. Source: getrandom(2); without an answer there is nothing right to return. */
HIDDEN unsigned arc4random(void) {
  unsigned number = 0;
  if (syscall(SYS_getrandom, &number, sizeof number, 0) != (long)sizeof number) __builtin_trap();
  return number;
}
