#include "agent.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conversation.h"
#include "gathering.h"

namespace blcr::libcr {

namespace {

AgentSocket listener;
bool running = false;

/** The listening socket again after a restart, or after the program closed descriptors that it does not know. */
bool renewListener() {
  if (listener.fd >= 0) {
    int accepting = 0;
    socklen_t length = sizeof accepting;
    const bool socket = ::getsockopt(listener.fd, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &length) == 0;
    char ignored = 0;
    // What a restart leaves is one end of a connection whose other end is closed. Anything else belongs to the program.
    if (socket && accepting == 0 && ::recv(listener.fd, &ignored, 1, MSG_PEEK | MSG_DONTWAIT) == 0) ::close(listener.fd);
  }
  listener = {};
  return listenAsClient(listener);
}

void* runAgent(void*) {
  ::prctl(PR_SET_NAME, "libcr");
  for (;;) {
    if (!listener.intact() && !renewListener()) return nullptr;
    // Waiting in accept(2) and not in poll(2): a keeper gets through although the program may close the descriptor meanwhile.
    const int connection = ::accept4(listener.fd, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection >= 0) serveKeeper(connection, listener);
  }
}

bool startThread() {
  sigset_t all, before;
  ::sigfillset(&all);
  // The program's signals are for the program's threads; what a callback does wrong is its own.
  for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) ::sigdelset(&all, own);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = ::pthread_create(&thread, nullptr, runAgent, nullptr);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error == 0) ::pthread_detach(thread);
  errno = error;
  return error == 0;
}

}  // namespace

bool startAgent() {
  if (running) return true;
  if (!takeSignal() || !listenAsClient(listener)) return false;
  if (!startThread()) {
    const int problem = errno;
    listener.close();
    errno = problem;
    return false;
  }
  running = true;
  return true;
}

void forgetAgentAfterFork() {
  if (!running) return;
  listener.close();
  forgetConversation();
  forgetThreads();
  running = false;
}

}  // namespace blcr::libcr
