// How the zygote handles the end of a child, or of its submitter. It reaps the
// child, and ends what the child leaves behind in a process group of its own.
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>

#include "../passing.h"
#include "../posix.h"
#include "../protocol.h"
#include "zygote_child.h"

namespace sys {

void Zygote::OnEnded(Child* child) {
  Status status = {};
  const bool is_group = child->group_grace >= 0;
  const auto wait = is_group ? WaitLeader : WaitPid;
  if (wait(child->pid, &status) == 0) return;
  if (child->report >= 0) {
    Report ended = {kEnded, status.exit_code, status.signal, status.usage};
    SendFds(child->report, {&ended, sizeof ended, nullptr, 0});
    Unwatch(&child->report);
  }
  Unlink(child->pid);
  child->has_ended = true;
  epoll_ctl(epoll_, EPOLL_CTL_DEL, child->exit_fd, nullptr);
  if (is_group) AwaitGroup(child, 0);
  if (!child->is_awaited) Forget(child);
}

void Zygote::Forget(Child* child) {
  child_count_ -= 1;
  Unwatch(&child->exit_fd);
  // Not freed yet: another event of this turn may point to it.
  child->next = forgotten_;
  forgotten_ = child;
}

void Zygote::OnSubmitterGone(Child* child) {
  if (child->report < 0) return;
  const int signal = child->orphan_signal;
  // The child is not reaped yet, so no other process can have its pid.
  if (signal > 0 && child->group_grace >= 0) {
    KillGroup(child->pid, child->exit_fd, signal);
    KillGroup(child->pid, child->exit_fd, SIGCONT);
    // Its guard needs a moment to give the token back.
    constexpr int kGuardMs = 1000;
    AwaitGroup(child, kGuardMs);
  } else if (signal > 0) {
    kill(child->pid, signal);
  }
  Unwatch(&child->report);
}

void Zygote::AwaitGroup(Child* child, int more_ms) {
  if (child->is_awaited || child->group_grace == INT32_MAX) return;
  child->is_awaited = true;
  child->group_end =
      Deadline(static_cast<double>(child->group_grace) + more_ms);
  child->next = groups_;
  groups_ = child;
}

void Zygote::EndGroups() {
  for (Child** link = &groups_; *link != nullptr;) {
    Child* child = *link;
    const bool is_over = child->group_end.HasPassed();
    const int signal = is_over ? SIGKILL : 0;
    const bool is_gone = SignalGroup(child, signal) < 0 && child->has_ended;
    if (!is_over && !is_gone) {
      link = &child->next;
      continue;
    }
    *link = child->next;
    child->is_awaited = false;
    // From now on, only its own end is awaited.
    child->group_grace = INT32_MAX;
    if (child->has_ended) Forget(child);
  }
}

int Zygote::SignalGroup(const Child* child, int signal) {
  const int result = KillGroup(child->pid, child->exit_fd, signal);
  return result == -ENOSYS ? KillGroup(child->pid, -1, signal) : result;
}

void Zygote::FreeForgotten() {
  while (forgotten_ != nullptr) {
    Child* child = forgotten_;
    forgotten_ = child->next;
    delete child;
  }
}

}  // namespace sys
