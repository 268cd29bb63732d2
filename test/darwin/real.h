// The linker option --wrap directs the addon's calls of close and poll to the
// __wrap_ functions of this folder. The functions of Linux are called __real_.
#pragma once
#include <poll.h>

extern "C" {

int __wrap_close(int fd);
int __real_close(int fd);

int __wrap_poll(struct pollfd* fds, nfds_t count, int timeout_ms);
int __real_poll(struct pollfd* fds, nfds_t count, int timeout_ms);

}  // extern "C"
