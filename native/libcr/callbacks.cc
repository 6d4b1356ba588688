#include "callbacks.h"

namespace blcr::libcr {

namespace {

int severity(int verdict) {
  if ((verdict & CR_CHECKPOINT_PERM_FAILURE) != 0) return 3;
  if ((verdict & CR_CHECKPOINT_TEMP_FAILURE) != 0) return 2;
  return (verdict & CR_CHECKPOINT_OMIT) != 0 ? 1 : 0;
}

void decide(int flags) {
  int before = state.verdict.load();
  while (severity(flags) > severity(before) && !state.verdict.compare_exchange_weak(before, flags)) continue;
}

/** One of the three failures or none of them, and a code only with a failure that can have one. */
bool validFlags(int flags) {
  const int what = flags & 0xffff, code = flags >> 16 & 0xffff;
  if (what == CR_CHECKPOINT_TEMP_FAILURE || what == CR_CHECKPOINT_PERM_FAILURE) return true;
  return (what == CR_CHECKPOINT_READY || what == CR_CHECKPOINT_OMIT) && code == 0;
}

int fail(int code) {
  errno = code;
  return -1;
}

bool validContext(int context) { return context == CR_THREAD_CONTEXT || context == CR_SIGNAL_CONTEXT; }

std::vector<Callback>& callbacksOf(int context) { return context == CR_THREAD_CONTEXT ? state.threadCallbacks : self->callbacks; }

/** 0 when callbacks may be changed here. */
int checkChange() {
  if (frame != nullptr) return EBUSY;
  return self == nullptr ? CR_ENOINIT : 0;
}

}  // namespace

int Group::proceed(size_t left) {
  while (left > 0 && callbacks_[left - 1].function == nullptr) --left;
  if (left == 0) return reachEnd();
  const Callback callback = callbacks_[left - 1];
  Frame* const outer = frame;
  Frame own{this, left - 1};
  frame = &own;
  const int answer = callback.function(callback.argument);
  if (!own.called) cr_checkpoint(CR_CHECKPOINT_READY);
  frame = outer;
  if (answer != 0 && own.result >= 0) state.failed = true;
  return own.result;
}

}  // namespace blcr::libcr

using namespace blcr::libcr;

int cr_checkpoint(int flags) {
  Frame* const mine = frame;
  if (mine == nullptr || mine->called) return -CR_ENOTCB;
  if (!validFlags(flags)) return -EINVAL;
  mine->called = true;
  if (flags != CR_CHECKPOINT_READY) decide(flags);
  mine->result = flags == CR_CHECKPOINT_READY ? mine->group->proceed(mine->index) : mine->group->reachEnd();
  return mine->result;
}

cr_callback_id_t cr_register_callback(cr_callback_t function, void* argument, int context) {
  if (const int problem = checkChange(); problem != 0) return fail(problem);
  if (!validContext(context)) return fail(EINVAL);
  const Section section;
  std::vector<Callback>& callbacks = callbacksOf(context);
  if (callbacks.size() >= CR_MAX_CALLBACKS) return fail(ENOSPC);
  callbacks.push_back({function, argument});
  return context | static_cast<int>(callbacks.size() - 1);
}

int cr_replace_callback(cr_callback_id_t id, cr_callback_t function, void* argument, int context) {
  if (const int problem = checkChange(); problem != 0) return fail(problem);
  if (!validContext(context) || id < 0 || (id & ~CR_MAX_CALLBACKS) != context) return fail(EINVAL);
  const Section section;
  std::vector<Callback>& callbacks = callbacksOf(context);
  const auto index = static_cast<size_t>(id & CR_MAX_CALLBACKS);
  if (index >= callbacks.size()) return fail(EINVAL);
  callbacks[index] = {function, argument};
  return 0;
}

int cr_replace_self(cr_callback_t function, void* argument, int context) {
  if (frame == nullptr) return fail(CR_ENOTCB);
  if (context != frame->group->context_) return fail(EINVAL);
  frame->group->callbacks_[frame->index] = {function, argument};
  return 0;
}

const struct cr_checkpoint_info* cr_get_checkpoint_info(void) { return frame != nullptr && !frame->called ? &state.checkpoint : nullptr; }

const struct cr_restart_info* cr_get_restart_info(void) {
  return frame != nullptr && frame->called && frame->result > 0 ? &state.restart : nullptr;
}
