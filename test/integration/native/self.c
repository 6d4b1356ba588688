/* Checkpoints itself and tells which copy it is: exit status 0 in the original, 4 in a restarted one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libcr.h"

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  cr_checkpoint_args_t args;
  cr_initialize_checkpoint_args_t(&args);
  args.cr_scope = CR_SCOPE_TREE;
  args.cr_fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
  cr_checkpoint_handle_t handle = 0;
  if (cr_request_checkpoint(&args, &handle) != 0) return 1;
  char* messages = NULL;
  const int result = cr_poll_checkpoint_msg(&handle, NULL, &messages);
  if (result < 0 && errno == CR_ERESTARTED) return 4;
  if (result != 1) printf("%s %s\n", cr_strerror(errno), messages == NULL ? "" : messages);
  return result == 1 ? 0 : 2;
}
