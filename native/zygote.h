// The forkserver process: forks a child for each request of a submitter and
// reports how it ends. Linux only: elsewhere, Open returns -ENOSYS.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "hot_pages.h"
#include "passing.h"
#include "process_state.h"
#include "protocol.h"
#include "terminal_signals.h"

namespace sys {

// Writes the token of a request back to the slot pipe if the submitter that
// sent the request has ended. Called for a request that starts no job, because
// no job gives the token back then. Waits for its end if it `is_ending`.
void GiveTokenOfOrphan(const Message& request, bool is_ending);

// Takes the input of the job out of the fds of a request; -1 if it has none.
int TakeInput(const ForkRequest& request, Message* message);

class Zygote {
 public:
  // Forks `spares` children ahead of the requests that arrive on request_fd.
  Zygote(int request_fd, int spares)
      : request_fd_(request_fd), wanted_spares_(spares) {}

  // Called first. Returns 0, or -errno when it cannot serve.
  int Open();

  // Forks a child for a request that waits already, if there is one. Called as
  // often as the zygote can, while it still prepares what its children inherit.
  // Returns true in a child, which is to call TakeJob.
  bool ServeEarly();

  bool HasChildren() const { return child_count_ > 0; }

  // Called when it has prepared everything. No JavaScript runs in it any more.
  int EndPreparation();

  // Returns 0 in a child, the scout, which is to run what every job runs and
  // then to call EndScout. The other children copy the pages it has touched.
  int ForkScout();
  void EndScout();
  // Called in the scout: EndScout is called after that much CPU time.
  static int EndScoutAfter(double cpu_ms);

  // Serves in the calling process, which ends when no submitter is left.
  // Returns in each child, a spare, which is to call TakeJob.
  void Serve();

  // Called in a spare: waits for a request, then reports the start to the
  // submitter and the zygote. Fills fds with those from kOrderFd on and
  // returns their number.
  size_t TakeJob(int* fds);

 private:
  struct Child;

  // From a spare to the zygote, together with the report socket: the spare has
  // taken a job.
  struct Taken {
    int pid;
    int orphan_signal;
    int group_grace;
  };

  void Announce() const;
  int MovePrivate(int fd);
  int ForkMissing();
  bool IsSpareMissing() const;
  bool HasRequest() const;
  int ForkChild();
  int AddChild(int pid);
  void BecomeSpare(int zygote_pid);
  void NameInProc(const Sender& submitter, char name[16]) const;
  bool BecomeChildOf(const Sender& submitter, int timer_slack) const;
  bool IsEnding(const Sender& submitter) const;
  int SendTaken(Taken taken, int report) const;
  int Watch(int fd, uint32_t events, Child* child, unsigned tag);
  void Unwatch(int* fd);
  void HandleEvents(int timeout_ms);
  void OnRequest(uint32_t events);
  void OnTaken();
  void OnEnded(Child* child);
  void OnSubmitterGone(Child* child);
  void Forget(Child* child);
  void AwaitGroup(Child* child, int more_ms);
  void EndGroups();
  static int SignalGroup(const Child* child, int signal);
  void RefuseOne(int error);
  Child* Unlink(int pid);
  void FreeForgotten();

  // In the scout, for a handler of signals.
  static Zygote* scout_;

  const int request_fd_;
  const int wanted_spares_;
  // The fds that a child must not keep have numbers from here on, so that the
  // child closes them by one call.
  int private_from_ = 0;
  HotPages hot_pages_;
  TerminalSignals terminal_signals_;
  ProcessState state_;
  int epoll_ = -1;
  // A spare that has taken a job writes to one end, the zygote reads the other.
  int taken_reader_ = -1;
  int taken_writer_ = -1;
  Child* spares_ = nullptr;
  // Children whose groups are to end, or whose groups have outlived them.
  Child* groups_ = nullptr;
  // Ended children, freed after the events of this turn.
  Child* forgotten_ = nullptr;
  int spare_count_ = 0;
  int child_count_ = 0;
  // The last submitter is gone.
  bool is_ending_ = false;
  // No job has begun since a wait timed out.
  bool is_calm_ = true;
};

}  // namespace sys
