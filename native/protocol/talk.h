// What libcr and a keeper need the system for while they talk.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/deadly_calls.h"

namespace blcr {

/** Of both sides, and of the answer to a request that never reaches a keeper. */
inline constexpr HostCall kTalk[] = {
    {"socketpair", SYS_socketpair, {AF_UNIX}},  // sockets first: what can be told is told through them
    {"sendmsg", SYS_sendmsg, {kBadFd}},
    {"recvmsg", SYS_recvmsg, {kBadFd}},
    {"recvfrom", SYS_recvfrom, {kBadFd}},
    {"select", SYS_select},
    {"poll", SYS_poll},
    {"fcntl", SYS_fcntl, {kBadFd, F_DUPFD_CLOEXEC}},
    {"socket", SYS_socket, {AF_UNIX}},
    {"connect", SYS_connect, {kBadFd}},
    {"bind", SYS_bind, {kBadFd}},
    {"listen", SYS_listen, {kBadFd}},
    {"accept4", SYS_accept4, {kBadFd}},
    {"getsockopt", SYS_getsockopt, {kBadFd, SOL_SOCKET}},
    {"kill", SYS_kill},
    {"dup2", SYS_dup2},
};

/** The first of them that are needed to tell anything. */
inline constexpr size_t kTelling = 7;

}  // namespace blcr
