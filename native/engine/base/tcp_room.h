// Room in the receiving end of a TCP connection.
#pragma once

namespace blcr {

/**
 * Lets a full receiver take more, up to the system's limit (tcp_rmem), as the kernel itself would when its program read fast. One whose
 * program has fixed the size of its buffer (SO_RCVBUF) is let grow, too, for as long as this lives, where the kernel lets that be undone
 * (SO_BUF_LOCK, Linux 5.14); what has come by then stays.
 */
class ReceiverRoom {
 public:
  explicit ReceiverRoom(int receiver) : receiver_(receiver) {}
  ReceiverRoom(const ReceiverRoom&) = delete;
  ReceiverRoom& operator=(const ReceiverRoom&) = delete;
  ~ReceiverRoom();

  /** Grows the buffer and tells the sender of it. May be repeated. */
  void offer();

 private:
  void unlock();
  int receiver_;
  int fixedSize_ = 0;  // as getsockopt tells it; 0 = the kernel's own choice, or not undone
  int locks_ = 0;
  bool asked_ = false;
};

}  // namespace blcr
