// cr_init and what belongs to a thread that called it; the three conveniences that checkpoint the caller; locks.
#include "client.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <string>

#include "agent.h"
#include "base/unique_fd.h"

namespace blcr::libcr {

thread_local Client* self = nullptr;
thread_local Frame* frame = nullptr;
State& state = *new State;

namespace {

pthread_key_t key;

void remove(Client* client) {
  for (Client** at = &state.clients; *at != nullptr; at = &(*at)->next) {
    if (*at != client) continue;
    *at = client->next;
    break;
  }
}

/** A thread ends: without its callbacks from now on, unless cr_inc_persist() asks to wait for other destructors. */
void onThreadEnd(void* value) {
  auto* client = static_cast<Client*>(value);
  if (client->persist > 0) {
    ::pthread_setspecific(key, client);  // called again, up to PTHREAD_DESTRUCTOR_ITERATIONS times
    return;
  }
  {
    const Section section;
    client->callbacks.clear();
    remove(client);
    self = nullptr;
  }
  if (client->sections > 0) {  // one that was never left ends with its thread
    client->sections = 1;
    leaveSection(client->sections);
  }
  delete client;
}

/** As with BLCR a child has none of its parent's callbacks and sections: it may call cr_init() itself. Hooks and holds stay. */
void afterForkInChild() {
  // Only this thread is left. What others were in the middle of never ends; in a callback its list is still read.
  if (frame == nullptr) {
    state.threadCallbacks.clear();
    delete self;
  } else {
    static_cast<void>(new std::vector(std::move(state.threadCallbacks)));
    state.threadCallbacks = {};
  }
  frame = nullptr;
  self = nullptr;
  ::pthread_setspecific(key, nullptr);
  state.sections = 0;
  state.phase = kIdle;
  state.clients = nullptr;
  forgetAgentAfterFork();
}

/** Once in a process. */
bool prepareProcess() {
  static const bool prepared = ::pthread_key_create(&key, onThreadEnd) == 0 && ::pthread_atfork(nullptr, nullptr, afterForkInChild) == 0;
  return prepared;
}

int persistBy(int change) {
  if (self == nullptr) {
    errno = CR_ENOINIT;
    return -1;
  }
  const int before = self->persist;
  int after = 0;
  if (__builtin_add_overflow(before, change, &after) || after < 0) {
    errno = ERANGE;
    return -1;
  }
  self->persist = after;
  return before;
}

}  // namespace

}  // namespace blcr::libcr

using namespace blcr::libcr;

int cr_link_me = 0;

cr_client_id_t cr_init(void) {
  if (self != nullptr) return self->ids++;
  static Word lock{0};
  for (uint32_t free = 0; !lock.compare_exchange_strong(free, 1); free = 0) waitWhile(lock, 1);
  bool good = prepareProcess() && startAgent();
  const int problem = errno;
  lock = 0;
  wakeAll(lock);
  if (!good) {
    errno = problem;
    return -1;
  }
  auto* client = new Client;
  client->tid = static_cast<pid_t>(::syscall(SYS_gettid));
  client->ids = 1;
  {
    const Section section;
    client->next = state.clients;
    state.clients = client;
    self = client;
  }
  ::pthread_setspecific(key, client);
  return 0;
}

int cr_inc_persist(void) { return persistBy(1); }
int cr_dec_persist(void) { return persistBy(-1); }

void cr_spinlock_init(cr_spinlock_t* lock) { __atomic_store_n(lock, 0U, __ATOMIC_RELEASE); }
int cr_spinlock_trylock(cr_spinlock_t* lock) { return __atomic_exchange_n(lock, 1U, __ATOMIC_ACQUIRE) == 0 ? 1 : 0; }
void cr_spinlock_lock(cr_spinlock_t* lock) {
  while (cr_spinlock_trylock(lock) == 0) ::sched_yield();
}
void cr_spinlock_unlock(cr_spinlock_t* lock) { __atomic_store_n(lock, 0U, __ATOMIC_RELEASE); }

int cr_request_fd(int fd) {
  cr_checkpoint_args_t args;
  cr_initialize_checkpoint_args_t(&args);
  args.cr_scope = CR_SCOPE_PROC;
  args.cr_fd = fd;
  cr_checkpoint_handle_t handle = 0;
  if (cr_request_checkpoint(&args, &handle) != 0) return -errno;
  int result = 0;
  do {
    result = cr_poll_checkpoint(&handle, nullptr);
  } while (result == CR_POLL_CHKPT_ERR_PRE && errno == EINTR);
  return result > 0 || errno == CR_ERESTARTED ? 0 : -errno;
}

int cr_request_file(const char* filename) {
  if (filename == nullptr) return -EINVAL;
  const blcr::UniqueFd file(::open(filename, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  return file ? cr_request_fd(file.get()) : -errno;
}

int cr_request(void) { return cr_request_file(("context." + std::to_string(::getpid())).c_str()); }
