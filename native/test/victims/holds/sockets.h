// What the victims with sockets share.
#pragma once

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "holds.h"

namespace holds {

/** Address bytes, as the kernel gives and takes them; "" = none. */
inline std::string addressOf(int fd, int (*ask)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (ask(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  return {reinterpret_cast<const char*>(&address), size};
}

inline std::string ownName(int fd) { return addressOf(fd, getsockname); }
inline std::string peersName(int fd) { return addressOf(fd, getpeername); }

inline std::string pathName(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return {reinterpret_cast<const char*>(&address), offsetof(sockaddr_un, sun_path) + path.size() + 1};
}

inline std::string loopback(uint16_t port = 0) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return {reinterpret_cast<const char*>(&address), sizeof address};
}

inline int withAddress(int fd, const std::string& name, int (*act)(int, const sockaddr*, socklen_t)) {
  sockaddr_storage address{};
  memcpy(&address, name.data(), name.size());
  return act(fd, reinterpret_cast<const sockaddr*>(&address), socklen_t(name.size()));
}

inline bool binds(int fd, const std::string& name) { return withAddress(fd, name, bind) == 0; }
inline bool reaches(int fd, const std::string& name) { return withAddress(fd, name, connect) == 0; }

inline bool says(int fd, const std::string& text) { return send(fd, text.data(), text.size(), MSG_NOSIGNAL) == ssize_t(text.size()); }

/** What the next message holds; "nothing" when there is none. */
inline std::string hears(int fd) {
  char text[256];
  const ssize_t count = recv(fd, text, sizeof text, MSG_DONTWAIT);
  return count < 0 ? "nothing" : std::string(text, size_t(count));
}

/** The sender's address behind the text. */
inline std::string hearsFrom(int fd) {
  char text[256];
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  const ssize_t count = recvfrom(fd, text, sizeof text, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &size);
  return count < 0 ? "nothing" : std::string(text, size_t(count)) + std::string(reinterpret_cast<const char*>(&from), size);
}

inline int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
}

/** Everything that the kernel tells of the other end: "pid uid gid group…". */
inline std::string peerOf(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  REQUIRE(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0);
  std::vector<gid_t> groups(1024);
  size = socklen_t(groups.size() * sizeof(gid_t));
  REQUIRE(getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0);
  groups.resize(size / sizeof(gid_t));
  std::string text = std::to_string(peer.pid) + " " + std::to_string(peer.uid) + " " + std::to_string(peer.gid);
  for (const gid_t group : groups) text.append(1, ' ').append(std::to_string(group));
  return text;
}

inline bool turn(int fd, int level, int name, int value) { return setsockopt(fd, level, name, &value, sizeof value) == 0; }

}  // namespace holds
