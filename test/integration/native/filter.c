/*
 * Runs a command behind a seccomp filter, as container managers and batch systems put them around jobs.
 * Usage: filter kill|trap|EPERM|ENOSYS CALL|"strict"|"service" COMMAND [ARGUMENT...]
 * CALL is a number that the filter punishes. "strict" knows what glibc's programs use and punishes all else; "service" forbids what systemd's
 * @system-service leaves out of what checkpoints and restarts use. Source: seccomp(2), systemd.exec(5).
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

/* Numbers of x86_64: files, memory, processes, signals, sockets, System V, timers, epoll as programs of glibc have always used them. */
static const struct {
  int from, to;
} strict[] = {{0, 100}, {102, 124}, {126, 132}, {137, 138}, {140, 147}, {157, 160}, {162, 162}, {186, 187}, {200, 204}, {213, 213}, {217, 235},
              {247, 247}, {253, 255}, {257, 271}, {273, 277}, {280, 296}, {302, 302}, {309, 309}, {318, 319}, {324, 324}, {326, 326}, {332, 332},
              {334, 334}, {435, 436}, {439, 439}, {441, 441}};

static const int service[] = {SYS_ptrace,    SYS_mount,     SYS_umount2,         SYS_pivot_root,      SYS_open_tree,
                              SYS_move_mount, SYS_pidfd_getfd, SYS_perf_event_open, SYS_process_madvise, SYS_io_uring_setup};

static struct sock_filter code[512];
static unsigned short length;

static void answer(int from, int to, unsigned action) {
  code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (unsigned)from, 0, 2);
  code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (unsigned)to, 1, 0);
  code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
}

int main(int argc, char** argv) {
  if (argc < 4) return 64;
  const int isStrict = strcmp(argv[2], "strict") == 0;
  const unsigned action = strcmp(argv[1], "kill") == 0   ? SECCOMP_RET_KILL_PROCESS
                          : strcmp(argv[1], "trap") == 0 ? SECCOMP_RET_TRAP
                                                         : SECCOMP_RET_ERRNO | (strcmp(argv[1], "EPERM") == 0 ? EPERM : ENOSYS);
  code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (size_t i = 0; isStrict && i < COUNT(strict); ++i) answer(strict[i].from, strict[i].to, SECCOMP_RET_ALLOW);
  const int isService = strcmp(argv[2], "service") == 0;
  for (size_t i = 0; isService && i < COUNT(service); ++i) answer(service[i], service[i], action);
  if (!isStrict && !isService) answer(atoi(argv[2]), atoi(argv[2]), action);
  code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, isStrict ? action : SECCOMP_RET_ALLOW);
  const struct sock_fprog program = {length, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) return 77;
  execv(argv[3], argv + 3);
  perror(argv[3]);
  return 127;
}
