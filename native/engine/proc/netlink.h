// What the answers of sock_diag(7) are made of.
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace blcr {

/** Calls `each(type, data, size)` for every attribute that lies within `left` bytes at `at`, which is aligned as netlink messages are. */
template <typename Each>
void forEachAttribute(const char* at, size_t left, const Each& each) {
  while (left >= sizeof(rtattr)) {
    const auto* attribute = reinterpret_cast<const rtattr*>(at);
    if (attribute->rta_len < sizeof(rtattr) || attribute->rta_len > left) break;
    each(attribute->rta_type, at + RTA_LENGTH(0), size_t(RTA_PAYLOAD(attribute)));
    const size_t step = std::min<size_t>(RTA_ALIGN(attribute->rta_len), left);
    at += step;
    left -= step;
  }
}

/** The value of an attribute; zero when it is too short. */
template <typename T>
T attributeValue(const void* data, size_t size) {
  T value{};
  if (size >= sizeof value) std::memcpy(&value, data, sizeof value);
  return value;
}

}  // namespace blcr
