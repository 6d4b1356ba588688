// Critical sections: a lock that any number of threads share and that a checkpoint takes for itself. All of it may run in signal handlers.
#include "client.h"

namespace blcr::libcr {

namespace {

/** True when the calling thread may go on: it has entered, or was in already. */
bool enterOnce(int& own) {
  if (own > 0) {
    ++own;
    return true;
  }
  uint32_t value = state.sections.load();
  while ((value & State::kWanted) == 0) {
    if (!state.sections.compare_exchange_weak(value, value + 1)) continue;
    ++own;  // a handler that interrupts us before this enters for itself
    return true;
  }
  return false;
}

thread_local int internalSections __attribute__((tls_model("initial-exec"))) = 0;

Word changing{0};  // a lock between sections of the library

cr_client_id_t checkId(cr_client_id_t id) {
  if (self == nullptr) return CR_ENOINIT;
  return id >= 0 && id < self->ids ? 0 : EINVAL;
}

/** In a callback there is nothing to enter: 1. Otherwise 0, or -1 with errno. */
int inCallback(cr_client_id_t id) {
  if (frame != nullptr && id == CR_ID_CALLBACK) return 1;
  const int problem = frame != nullptr ? EINVAL : checkId(id);
  if (problem == 0) return 0;
  errno = problem;
  return -1;
}

}  // namespace

bool tryEnterSection(int& own) { return enterOnce(own); }

void enterSection(int& own) {
  while (!enterOnce(own)) {
    const uint32_t value = state.sections.load();
    if ((value & State::kWanted) != 0) waitWhile(state.sections, value);
  }
}

void leaveSection(int& own) {
  if (own > 1) {
    --own;
    return;
  }
  const uint32_t left = state.sections.fetch_sub(1) - 1;
  own = 0;
  if ((left & State::kWanted) == 0) return;
  wakeAll(state.sections);
  // A checkpoint that waited for this happens now: this thread is called to it by signal.
  const uint32_t round = state.round.load();
  for (uint32_t value = 0; state.round.load() == round && ((value = state.sections.load()) & State::kWanted) != 0;) {
    waitWhile(state.sections, value);
  }
}

Section::Section() : own_(frame != nullptr ? nullptr : self != nullptr ? &self->sections : &internalSections) {
  if (own_ == nullptr) return;
  enterSection(*own_);
  for (uint32_t free = 0; !changing.compare_exchange_strong(free, 1); free = 0) waitWhile(changing, 1);
}

Section::~Section() {
  if (own_ == nullptr) return;
  changing = 0;
  wakeAll(changing);
  leaveSection(*own_);
}

}  // namespace blcr::libcr

using namespace blcr::libcr;

int cr_enter_cs(cr_client_id_t id) {
  const int callback = inCallback(id);
  if (callback == 0) enterSection(self->sections);
  return callback < 0 ? -1 : 0;
}

int cr_tryenter_cs(cr_client_id_t id) {
  const int callback = inCallback(id);
  if (callback == 0) return tryEnterSection(self->sections) ? 0 : 1;
  return callback < 0 ? -1 : 0;
}

int cr_leave_cs(cr_client_id_t id) {
  const int callback = inCallback(id);
  if (callback != 0) return callback < 0 ? -1 : 0;
  if (self->sections == 0) {
    errno = EINVAL;
    return -1;
  }
  leaveSection(self->sections);
  return 0;
}

int cr_status(void) {
  if (self == nullptr && frame == nullptr) {
    errno = CR_ENOINIT;
    return -1;
  }
  if (frame != nullptr) return CR_STATE_ACTIVE;
  return state.phase.load() == kIdle ? CR_STATE_IDLE : CR_STATE_PENDING;
}
