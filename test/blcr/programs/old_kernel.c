/*
 * Runs a program as on Linux 3.14: system calls that came later answer ENOSYS, and uname(2) tells an old version too, because OpenSSL (and so
 * Node.js) does without getrandom only there. old_kernel PROGRAM [ARGS...]
 * Source: seccomp(2), personality(2); numbers of x86_64.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <unistd.h>

/* renameat2 (3.15) and what follows it; 334 (rseq) ends the old numbering, 424 begins the new one. */
enum { FIRST_LATER = 316 };

int main(int argc, char** argv) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST_LATER, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog filter = {sizeof code / sizeof code[0], code};
  if (argc < 2) return 64;
  if (personality(UNAME26) < 0) perror("personality");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0) {
    perror("old_kernel");
    return 1;
  }
  execvp(argv[1], argv + 1);
  perror(argv[1]);
  return 1;
}
