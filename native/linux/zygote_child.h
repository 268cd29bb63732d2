// What the zygote knows about one of its children.
#pragma once
#include "../deadline.h"
#include "../zygote.h"

namespace sys {

struct Zygote::Child {
  int pid;
  int exit_fd;
  int report = -1;  // -1: a spare, or its submitter is gone
  int orphan_signal = 0;
  int group_grace = -1;  // see ForkRequest
  bool has_ended = false;
  // It is in the list of groups.
  bool is_awaited = false;
  Deadline group_end{-1};
  Child* next = nullptr;
};

}  // namespace sys
